"""Two models of one name: the second goes into production, is found wanting, and the first is brought back.

Run it, then look: autotrack models show wine
"""

from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier

import autotrack
from autotrack.registry.changing import rollback  # as `autotrack models rollback`

X, X_test, y, y_test = train_test_split(*load_wine(return_X_y=True), random_state=0)

for name, model in (("linear", LogisticRegression(max_iter=5000)), ("tree", DecisionTreeClassifier(random_state=0))):
    with autotrack.start_run(name) as run:
        run.log_metrics({"accuracy": model.fit(X, y).score(X_test, y_test)})
        run.log_model(model)
    version = autotrack.register_model("wine", run, aliases=["production"], why=f"the {name} one is what we have")
    print(f"wine/{version['version']} is in production: {version['digest'][:12]}, of run {version['run']}")

in_production = autotrack.load_model("wine@production")
print(f"it is a {type(in_production).__name__} and says {in_production.predict(X_test[:5]).tolist()}")

step = rollback("wine@production", "its answers cannot be explained").record
print(f"wine@production is back at version {step['version']}, said {step['who']}: {step['why']}")
