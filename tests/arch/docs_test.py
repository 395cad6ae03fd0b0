"""Fails where a Markdown page names something that is not there: a link, a path, a command, a recipe."""

import os
import re
import unittest

ROOT = os.environ.get('TANDEM_SOURCE_DIR') or os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
SKIPPED = ('.', 'build', 'runs', 'node_modules', 'third_party')


def pages():
    """Path of each of our pages -> its text."""
    found = {}
    for folder, folders, files in os.walk(ROOT):
        if folder == ROOT:
            folders[:] = [name for name in folders if not name.startswith(SKIPPED)]
        for name in files:
            if name.endswith('.md'):
                path = os.path.join(folder, name)
                with open(path, encoding='utf-8') as file:
                    found[os.path.relpath(path, ROOT)] = file.read()
    return found


def read(path):
    with open(os.path.join(ROOT, path), encoding='utf-8') as file:
        return file.read()


class DocsTest(unittest.TestCase):

    def assert_all_there(self, pattern, exists):
        """Whatever the pattern's group finds in a page must exist."""
        checked = 0
        for page, text in pages().items():
            for name in re.findall(pattern, text):
                checked += 1
                with self.subTest(page=page, name=name):
                    self.assertTrue(exists(page, name))
        return checked

    def test_links_lead_somewhere(self):
        checked = self.assert_all_there(
            r'\]\((?!https?://|#|mailto:)([^)#\s]+)',
            lambda page, name: os.path.exists(os.path.join(ROOT, os.path.dirname(page), name)))
        self.assertGreater(checked, 0)

    def test_commands_of_dev_exist(self):
        commands = set(re.findall(r'^cmd_([a-z0-9]+)\(\)', read('dev'), re.MULTILINE))
        self.assertIn('train', commands)
        self.assertGreater(self.assert_all_there(r'\./dev ([a-z0-9]+)', lambda _, name: name in commands), 0)

    def test_recipes_and_scripts_exist(self):
        checked = self.assert_all_there(
            r'(?<![\w/.-])((?:recipes|deploy|docker|packages|tests|bench|cmake|docs)/[\w/.-]+\.\w+)',
            lambda _, name: os.path.exists(os.path.join(ROOT, name)))
        self.assertGreater(checked, 0)

    def test_services_of_the_compose_file_are_scraped(self):
        services = re.findall(r'^  ([a-z0-9_]+):\n    <<: \*service', read('deploy/compose/compose.yaml'),
                              re.MULTILINE)
        scraped = re.findall(r'- ([a-z0-9_]+):7001', read('deploy/compose/prometheus.yml'))
        self.assertEqual(len(services), 6)
        self.assertEqual(sorted(services), sorted(scraped))


if __name__ == '__main__':
    unittest.main()
