"""`enable()` and the imports of xgboost in any order, each in a process of its own."""

import subprocess
import sys

import pytest

from autotrack.testing import Recorded

SCRIPT = """
import sys
def enable():
    import autotrack, autotrack_xgboost
    from autotrack.plugins import plugins
    plugins.load()
    if "xgboost" not in plugins.integrations:
        plugins.register(autotrack_xgboost, "xgboost")
    before = "xgboost" in sys.modules
    autotrack.enable("xgboost", forwarder="off", home=sys.argv[1], quiet=True, strict=True)
    assert before == ("xgboost" in sys.modules)
    return autotrack
{order}
import numpy as np
X = np.arange(40.0).reshape(20, 2)
train({{}}, xgboost.DMatrix(X, X[:, 0]), 3)
XGBRegressor(n_estimators=2).fit(X, X[:, 0])
"""
ENABLE = "autotrack = enable()"
IMPORT = "import xgboost\nfrom xgboost import train, XGBRegressor"


@pytest.mark.parametrize(
    "order",
    [
        f"{ENABLE}\n{IMPORT}",
        f"{IMPORT}\n{ENABLE}",
        f"import autotrack\n{IMPORT}\n{ENABLE}",
        f"{ENABLE}\nfrom xgboost.sklearn import XGBRegressor\nfrom xgboost.training import train\nimport xgboost",
    ],
)
def test_any_order_of_import_and_enable(tmp_path, order) -> None:
    pytest.importorskip("xgboost")
    pytest.importorskip("sklearn")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(order=order), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")
    runs = Recorded(tmp_path).runs()
    assert [(run.name, run.status) for run in runs] == [("xgboost.train", "finished"), ("XGBRegressor", "finished")]


def test_the_product_is_not_imported_by_the_plugin() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import autotrack_xgboost, sys; sys.exit('xgboost' in sys.modules)"],
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
