"""Fails on a breach of the layout's rules (rules.py), and checks that each rule catches one."""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rules  # noqa: E402

ROOT = os.environ.get('TANDEM_SOURCE_DIR') or os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))

GOOD = {
    'common/base/clock.h': '#pragma once\n#include <string>\n',
    'common/nn/mlp.h': '#pragma once\n#include "common/base/clock.h"\n',
    'common/nn/mlp.cc': '#include "common/nn/mlp.h"\n#include <torch/types.h>\n',
    'common/codec/codec.h': '#pragma once\n#include "tandem/data/v1/data.pb.h"\n',
    'common/config/config.h': '#pragma once\n#include "tandem/config/v1/config.pb.h"\n',
    'services/actor/core/loop.h': '#pragma once\n#include "common/nn/mlp.h"\n',
    'services/actor/main.cc': '#include "common/config/config.h"\n',
    'services/actor/service.h': '#pragma once\n#include <grpcpp/grpcpp.h>\n',
    'common/nn/CMakeLists.txt': 'tandem_library(NAME nn SRCS mlp.cc PRIVATE_DEPS tandem::torch)\n',
    'tests/integration/all_test.cc': '#include "services/actor/core/loop.h"\n',
}

# What is planted, and a part of the line that must come.
PLANTS = {
    'a higher folder': ({'common/base/rng.h': '#pragma once\n#include "common/nn/mlp.h"\n'},
                        'common/base may not include common/nn'),
    'common to a service': ({'common/base/rng.h': '#pragma once\n#include "services/actor/service.h"\n'},
                            'common may not include'),
    'a folder without a rule': ({'common/misc/a.h': '#pragma once\n'}, 'no rule for the folder'),
    'a service to another': ({'services/monitor/main.cc': '#include "services/actor/service.h"\n'},
                             'may not include another'),
    'cli to a service': ({'cli/main.cc': '#include "services/actor/service.h"\n'}, 'cli may not include'),
    'config in a core': ({'services/actor/core/a.cc': '#include "common/config/config.h"\n'},
                         'only options and main'),
    'gRPC in common/env': ({'common/env/a.cc': '#include <grpcpp/grpcpp.h>\n'}, 'neither gRPC nor protobuf'),
    'protobuf in a core, through a header': (
        {'services/actor/core/a.cc': '#include "common/codec/codec.h"\n'},
        'data.pb.h through common/codec/codec.h'),
    'LibTorch in a service': ({'services/actor/service.cc': '  #  include <ATen/ATen.h>\n'},
                              'may not see LibTorch'),
    'LibTorch through a header': (
        {'common/nn/tensor.h': '#pragma once\n#include <ATen/core/Tensor.h>\n',
         'services/actor/core/a.cc': '#include "common/nn/tensor.h"\n'}, 'may not see LibTorch'),
    'LibTorch beside protobuf': ({'tests/a_test.cc': '#include <torch/types.h>\n#include "x/y.pb.h"\n'},
                                 'sees both'),
    'absl::Mutex': ({'common/base/a.cc': '#include "absl/synchronization/mutex.h"\n'}, 'common/base/mutex.h'),
    'a long file': ({'common/base/a.cc': '\n' * 501}, '501 lines'),
    'a long main': ({'cli/main.cc': '\n' * 61}, '61 lines'),
    'no include guard': ({'common/base/a.h': 'int a();\n'}, 'pragma once'),
    'GLOB': ({'common/base/CMakeLists.txt': 'file(GLOB all *.cc)\n'}, 'GLOB'),
    'LibTorch linked to a service': ({'services/actor/CMakeLists.txt': 'x(DEPS tandem::torch)\n'},
                                     'may not link LibTorch'),
    'an unfinished spot': ({'common/base/a.cc': '// TO' 'DO: later\n'}, 'a.cc:1'),
}


def breaches_of(files):
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(root, path), 'w', encoding='utf-8') as file:
                file.write(text)
        return rules.check(root)


class ArchTest(unittest.TestCase):

    def test_this_tree_keeps_the_rules(self):
        self.assertGreater(len(rules.read_tree(ROOT)), 50)
        breaches = rules.check(ROOT)
        self.assertFalse(breaches, '\n' + '\n'.join(breaches))

    def test_a_good_tree_has_no_breach(self):
        self.assertEqual(breaches_of(GOOD), [])

    def test_each_planted_breach_is_caught(self):
        for what, (files, expected) in PLANTS.items():
            with self.subTest(what):
                breaches = breaches_of({**GOOD, **files})
                self.assertTrue(any(expected in breach for breach in breaches), breaches)


if __name__ == '__main__':
    unittest.main()
