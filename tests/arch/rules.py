"""The rules of Tandem's layout, read from the sources: who may include whom, and how long files get.

check(root) returns one line for each breach. CONTRIBUTING.md has the rules in words.
"""

import os
import re

# What a folder of common/ may include of its neighbours; tests beside the code obey the same list.
COMMON = {
    'base': (),
    'data': ('base',),
    'env': ('base', 'data'),
    'nn': ('base', 'data'),
    'dynamics': ('base', 'data', 'env', 'nn'),
    'policy': ('base', 'data', 'nn'),
    'objective': ('base', 'data', 'env', 'nn', 'dynamics', 'policy'),
    'coadaptation': ('base', 'data'),
    'metrics': ('base',),
    'config': ('base',),
    'codec': ('base', 'data'),
    'rpc': ('base', 'metrics'),
    'snapshot': ('base', 'data', 'nn', 'metrics', 'codec', 'rpc'),
    'clients': ('base', 'data', 'coadaptation', 'env', 'nn', 'metrics', 'codec', 'rpc', 'snapshot'),
    'env_server': ('base', 'data', 'env', 'metrics', 'rpc', 'clients'),
    'training': ('base', 'data', 'coadaptation', 'env', 'nn', 'metrics', 'codec', 'rpc', 'snapshot',
                 'clients'),
}
TORCH_FOLDERS = ('nn', 'dynamics', 'policy')
RPC_FREE_FOLDERS = TORCH_FOLDERS + ('base', 'data', 'env', 'objective', 'coadaptation')
ROOTS = ('common', 'services', 'cli', 'bench', 'tests')

MAX_LINES = 500
MAX_MAIN_LINES = 60

TORCH = re.compile(r'(torch|ATen|c10)/')
RPC = re.compile(r'(grpc|grpcpp|google/protobuf)/|.*\.pb\.h$')
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"]+)[>"]', re.MULTILINE)


def read_tree(root):
    """Path relative to root -> text, for every text file of our own."""
    texts = {}
    tops = ROOTS + ('proto', 'cmake', 'docker', 'deploy', 'recipes', '.ci')
    names = [name for name in ('CMakeLists.txt', 'dev') if os.path.isfile(os.path.join(root, name))]
    for top in tops:
        for folder, _, files in os.walk(os.path.join(root, top)):
            if '__pycache__' not in folder:
                names += [os.path.relpath(os.path.join(folder, name), root) for name in files]
    for name in sorted(names):
        try:
            with open(os.path.join(root, name), encoding='utf-8') as file:
                texts[name] = file.read()
        except UnicodeDecodeError:
            pass  # not text
    return texts


class Sources:
    """Our C++ files with what each includes, directly and through our own headers."""

    def __init__(self, texts):
        self.direct = {path: INCLUDE.findall(text) for path, text in texts.items()
                       if path.endswith(('.h', '.cc')) and path.startswith(ROOTS)}
        self._reached = {}

    def reached(self, path):
        """Included path -> the chain of our files by which `path` comes to it."""
        if path not in self._reached:
            chains = self._reached[path] = {}
            pending = [(path, (path,))]
            while pending:
                current, chain = pending.pop()
                for include in self.direct[current]:
                    if include not in chains:
                        chains[include] = chain
                        if include in self.direct:
                            pending.append((include, chain + (include,)))
        return self._reached[path]

    def first(self, path, pattern):
        """How `path` reaches an include that matches, in words; None if it does not."""
        for include, chain in self.reached(path).items():
            if pattern.match(include):
                way = '' if len(chain) == 1 else ' through ' + ' -> '.join(chain[1:])
                return include + way
        return None


def folder_breaches(path, include):
    """Breaches of the order of folders by one direct include of one of our own headers."""
    here, there = path.split('/'), include.split('/')
    if here[0] == 'common':
        if there[0] != 'common':
            return f'{path}: common may not include {include}'
        if here[1] != there[1] and there[1] not in COMMON.get(here[1], ()):
            return f'{path}: common/{here[1]} may not include common/{there[1]} ({include})'
    if here[0] == 'services':
        if there[0] == 'services' and here[1] != there[1]:
            return f'{path}: a service may not include another ({include})'
        if there[0] in ('cli', 'bench', 'tests'):
            return f'{path}: a service may not include {include}'
        config_allowed = re.fullmatch(r'(options|main)(_test)?\.(h|cc)', here[-1]) and len(here) == 3
        if include.startswith('common/config/') and not config_allowed:
            return f'{path}: in a service only options and main may include {include}'
    if here[0] == 'cli' and there[0] in ('services', 'bench', 'tests'):
        return f'{path}: cli may not include {include}'
    return None


def include_breaches(sources):
    for path, includes in sources.direct.items():
        parts = path.split('/')
        for include in includes:
            if include.split('/')[0] in ROOTS:
                breach = folder_breaches(path, include)
                if breach:
                    yield breach
            if include.startswith('absl/synchronization/'):
                yield f'{path}: {include}: use common/base/mutex.h, which ThreadSanitizer understands'
        in_common = parts[0] == 'common' and parts[1]
        if parts[0] == 'common' and parts[1] not in COMMON:
            yield f'{path}: no rule for the folder common/{parts[1]}: add one to tests/arch/rules.py'
        torch, rpc = sources.first(path, TORCH), sources.first(path, RPC)
        if torch and rpc:
            yield f'{path}: sees both {torch} and {rpc}: LibTorch ships an old protobuf'
        torch_allowed = in_common in TORCH_FOLDERS or parts[0] in ('tests', 'bench')
        if torch and not torch_allowed:
            yield f'{path}: may not see LibTorch: {torch}'
        rpc_free = in_common in RPC_FREE_FOLDERS or (parts[0] == 'services' and parts[2] == 'core')
        if rpc and rpc_free:
            yield f'{path}: may see neither gRPC nor protobuf: {rpc}'


def text_breaches(texts):
    marker = re.compile(r'\b(TO' r'DO|FIX' r'ME|X' r'XX)\b')
    for path, text in texts.items():
        name = os.path.basename(path)
        lines = text.count('\n')
        if path.endswith(('.h', '.cc')):
            if lines > MAX_LINES:
                yield f'{path}: {lines} lines, at most {MAX_LINES}: split it'
            if name == 'main.cc' and lines > MAX_MAIN_LINES:
                yield f'{path}: {lines} lines, at most {MAX_MAIN_LINES} in a main.cc'
        if path.endswith('.h') and '#pragma once' not in text:
            yield f'{path}: no #pragma once'
        if name == 'CMakeLists.txt' or name.endswith('.cmake'):
            if re.search(r'\bfile\s*\(\s*GLOB(_RECURSE)?\s[^)]*\.(cc|h|proto)\b', text, re.IGNORECASE):
                yield f'{path}: lists sources by GLOB: name them'
            parts = path.split('/')
            torch_allowed = (parts[0] in ('cmake', 'tests', 'bench') or
                             parts[0] == 'common' and parts[1] in TORCH_FOLDERS)
            if re.search(r'\btandem::torch\b', re.sub(r'#.*', '', text)) and not torch_allowed:
                yield f'{path}: may not link LibTorch'
        found = marker.search(text)
        if found:
            yield f'{path}:{text.count(chr(10), 0, found.start()) + 1}: {found.group()}: do it or open an issue'


def check(root):
    texts = read_tree(root)
    return sorted(set(include_breaches(Sources(texts)))) + sorted(text_breaches(texts))
