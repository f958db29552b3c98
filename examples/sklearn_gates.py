"""Gates before a promotion: run this file, then `autotrack models show clf` and `autotrack models log clf`."""

from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import autotrack
from autotrack.registry import promoting

autotrack.enable("sklearn")

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.5, random_state=0)


def train(name, model):
    with autotrack.start_run(name) as run:
        model.fit(X_train, y_train)
        run.log_evaluation(y_test, model.predict(X_test), data=X_test)
        run.log_model(model, register="clf")


train("stump", DecisionTreeClassifier(max_depth=1, random_state=0))
train("scaled", make_pipeline(StandardScaler(), LogisticRegression()))
train("worse again", DecisionTreeClassifier(max_depth=2, random_state=0))

for version in ("clf/1", "clf/2", "clf/3"):
    made = promoting.promote(version, "production", "quickstart")
    print(f"{version}: {'promoted' if made.moved else 'refused'}")
    for gate in made.results:
        print(f"  {gate['gate']}: {gate['verdict']}, {gate['why']}")
