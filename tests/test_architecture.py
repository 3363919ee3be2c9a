"""Imports point downwards, `import gatewise` is light, files stay readable."""

import ast
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "src" / "gatewise"

# Each line may import itself and what stands above it; parts of one line do not import one another.
LAYERS = (
    "errors accuracy",
    "types",
    "cell sequences samples likelihoods",
    "equations",
    "kernels",
    "nn",
    "models data losses metrics decoding",
    "tasks",
    "training",
    "inspection",
    "reports benchmark",
    "experiments",
    "serving export",
    "api",
    "cli",
    "testing",
)
RANK = {name: depth for depth, names in enumerate(LAYERS) for name in names.split()}
ENTRY_POINTS = {"__init__", "__main__"}

LONGEST_FILE = 600
LONGEST_FUNCTION = 90  # lines with signature and docstring


def modules():
    """Part of the package and path of each file."""
    for path in sorted(PACKAGE.rglob("*.py")):
        part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if part not in ENTRY_POINTS:
            yield part, path


def imports(tree):
    """The parts of gatewise that a file imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            if node.module == "gatewise":
                yield from (alias.name for alias in node.names)
            elif node.module and node.module.startswith("gatewise."):
                yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("gatewise."))


def test_every_part_has_its_place():
    assert {part for part, _ in modules()} <= RANK.keys()


def test_imports_point_downwards():
    upward = [
        f"{path.relative_to(PACKAGE)} imports {there}"
        for here, path in modules()
        for there in imports(ast.parse(path.read_text()))
        if there in RANK and there != here and RANK[there] >= RANK[here]
    ]
    assert upward == []


def test_the_check_sees_an_upward_import():
    tree = ast.parse("def f():\n    from gatewise.training.fit import fit\n    import gatewise.api.run\n")
    assert list(imports(tree)) == ["training", "api"]


def test_nothing_imports_testing():
    for part, path in modules():
        if part != "testing":
            assert "testing" not in set(imports(ast.parse(path.read_text()))), path


def test_files_and_functions_stay_readable():
    long = []
    for _, path in modules():
        text = path.read_text()
        if text.count("\n") > LONGEST_FILE:
            long.append(path.name)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                if body and body[-1].end_lineno - body[0].lineno >= LONGEST_FUNCTION:
                    long.append(f"{path.name}:{node.name}")
    assert long == []


def test_nothing_is_pickled_and_nothing_swallowed():
    for _, path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names] + [getattr(node, "module", None)]
                assert "pickle" not in names, path
            if isinstance(node, ast.Attribute) and ast.unparse(node) in ("torch.load", "torch.save"):
                raise AssertionError(f"{path}: {ast.unparse(node)} pickles")
            if isinstance(node, ast.ExceptHandler):
                swallowed = all(isinstance(part, ast.Pass) for part in node.body)
                assert node.type is not None, f"{path}: a bare except"
                assert not swallowed, f"{path}:{node.lineno} swallows an error"


LIGHT = """
import sys
import torch
before = set(sys.modules)
BLOCKED = ("polars", "pandas", "pydantic", "typer", "rich", "plotly", "torchmetrics", "lightning_fabric", "tomli_w",
           "matplotlib", "triton")

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ImportError(f"{name} is blocked")

for name in BLOCKED:
    assert name not in sys.modules, name
sys.meta_path.insert(0, Block())
import gatewise
lstm = gatewise.LSTM(2, 3, bidirectional=True, cell=gatewise.Cell(peephole=True))
output, state = lstm(torch.zeros(4, 5, 2))
assert output.shape == (4, 5, 6)
model = gatewise.recipes.bilstm(input_size=1, num_classes=2)
assert model(torch.zeros(2, 9, 1)).shape == (2, 2)
"""


def test_layers_and_recipes_need_only_torch_numpy_and_safetensors():
    subprocess.run([sys.executable, "-W", "error", "-c", LIGHT], check=True, timeout=120)


def test_import_is_quick():
    """Under a second beyond torch: counted in modules, since the clock of a shared machine proves little."""
    code = "import sys, torch; a = set(sys.modules); import gatewise; print(len(set(sys.modules) - a))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120)
    assert int(done.stdout) < 10
