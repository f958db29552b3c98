"""Plugins: any order of enable, import and configure; broken ones cost one line; disable() is total."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = '''
"""Tracks the product `acme`."""
from autotrack.plugin import Integration, begin_leaf, guarded, hookimpl

@hookimpl
def autotrack_register_integrations(register):
    register(Integration(name="acme", module="acme", install="autotrack_acme:install", requires=("acme>=2.0",)))

def install(installation):
    import acme
    installation.observe(acme.Model, "fit", watch_fit)

def watch_fit(call):
    leaf = begin_leaf("acme", name=type(call.args[0]).__name__)
    if leaf is None:
        return
    with leaf:
        with guarded("acme"):
            leaf.run.log_params(call.kwargs)
        leaf.outcome = yield
'''

PRODUCT = """
class Model:
    def fit(self, x, *, rate=1):
        if x is None:
            raise ValueError("no data")
        return self
"""

HEAD = """
import sys
from pathlib import Path
def recorded():
    import autotrack
    from autotrack.testing import Recorded
    return [(r.name, r.status, dict(r.params)) for r in Recorded(Path(sys.argv[1])).runs()]
"""


class Place:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        (folder / "acme.py").write_text(PRODUCT)
        (folder / "autotrack_acme.py").write_text(PLUGIN)
        self.entry("acme-plugin", "[autotrack]\nacme = autotrack_acme\n")

    def entry(self, name: str, text: str) -> None:
        info = self.folder / f"{name.replace('-', '_')}-1.dist-info"
        info.mkdir()
        (info / "entry_points.txt").write_text(text)

    def run(self, code: str, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-c", HEAD + code, str(self.home)],
            env={
                **os.environ,
                "PYTHONPATH": str(self.folder),
                "AUTOTRACK_HOME": str(self.home),
                "AUTOTRACK_FORWARDER": "off",
                "AUTOTRACK_INTEGRATIONS": "acme",
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


FIT = "m = Model(); assert m.fit([1], rate=3) is m\nprint(recorded())\n"
ONE = "[('Model', 'finished', {'rate': 3})]\n"


@pytest.mark.parametrize(
    "code",
    [
        "import autotrack; autotrack.enable()\nfrom acme import Model\n",
        "from acme import Model\nimport autotrack; autotrack.enable()\n",
        "import autotrack; autotrack.enable(); autotrack.enable('acme')\nfrom acme import Model\nautotrack.enable()\n",
        "import autotrack; autotrack.enable(); autotrack.disable()\nfrom acme import Model\nautotrack.enable()\n",
    ],
)
def test_any_order_records_the_call_once(place: Place, code: str) -> None:
    done = place.run(code + FIT)
    assert (done.returncode, done.stdout) == (0, ONE), done.stderr


def test_enable_imports_no_product_and_nothing_heavy(place: Place) -> None:
    code = (
        "import autotrack; autotrack.enable()\n"
        "print([m for m in ('acme', 'sqlalchemy', 'msgspec', 'numpy', 'requests', 'sklearn', 'click', 'psutil', "
        "'importlib.metadata', 'hashlib') if m in sys.modules])"
    )
    assert place.run(code, AUTOTRACK_INTEGRATIONS="").stdout == "[]\n"


def test_disable_is_total(place: Place) -> None:
    code = (
        "import acme, autotrack\nbefore = vars(acme.Model)['fit']; finders = list(sys.meta_path)\n"
        "autotrack.enable(); autotrack.enable()\nassert vars(acme.Model)['fit'] is not before\n"
        "autotrack.disable()\nassert vars(acme.Model)['fit'] is before\nassert sys.meta_path == finders\n"
        "acme.Model().fit([1])\nprint(recorded())"
    )
    done = place.run(code)
    assert done.stdout == "[]\n", done.stderr


def test_a_failure_of_the_users_passes_and_is_recorded(place: Place) -> None:
    code = (
        "import autotrack; autotrack.enable()\nfrom acme import Model\n"
        "try: Model().fit(None)\nexcept ValueError as e: print(e, e.__traceback__.tb_next.tb_next.tb_next)\n"
        "print(recorded())"
    )
    assert place.run(code).stdout == "no data None\n[('Model', 'failed', {})]\n"


def test_a_broken_plugin_costs_one_line_and_the_others_work(place: Place) -> None:
    (place.folder / "broken_plugin.py").write_text("raise RuntimeError('theirs')\n")
    place.entry("broken", "[autotrack]\nbroken = broken_plugin\n")
    done = place.run("import autotrack; autotrack.enable()\nfrom acme import Model\n" + FIT)
    assert done.stdout == ONE
    assert done.stderr.count("plugin broken (broken_plugin) cannot be loaded: RuntimeError: theirs") == 1


def test_a_product_that_is_too_old_is_told_and_left_alone(place: Place) -> None:
    info = place.folder / "acme-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.5\n")
    done = place.run("import autotrack; autotrack.enable()\nfrom acme import Model\n" + FIT)
    assert done.stdout == "[]\n"
    assert "acme is not tracked: acme 1.5 is installed and acme>=2.0 is needed" in done.stderr


def test_zero_switches_everything_off(place: Place) -> None:
    code = "import autotrack; autotrack.enable()\nfrom acme import Model\n"
    done = place.run(code + FIT, AUTOTRACK_ENABLED="0")
    assert (done.stdout, done.stderr) == ("[]\n", "")
    assert not place.home.exists()


def test_an_integration_that_does_not_exist_is_an_error_that_names_those_that_do(place: Place) -> None:
    done = place.run(
        "import autotrack\ntry: autotrack.enable('acmee')\n"
        "except autotrack.errors.PluginError as e: print(e)\n".replace(
            "import autotrack\n", "import autotrack, autotrack.errors\n"
        )
    )
    told, _, known = done.stdout.strip().partition("; there are ")
    assert told == "there is no integration acmee" and "acme" in known.split(", ")


def test_a_plugin_whose_install_fails_leaves_nothing_behind(place: Place) -> None:
    text = PLUGIN.replace("watch_fit)\n", "watch_fit)\n    raise RuntimeError('half way')\n", 1)
    (place.folder / "autotrack_acme.py").write_text(text)
    done = place.run("import autotrack; autotrack.enable()\nimport acme\nprint(acme.Model.fit.__code__.co_filename)")
    assert done.stdout.strip() == str(place.folder / "acme.py")
    assert done.stderr.count("half way") == 1
