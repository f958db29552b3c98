"""Optuna with autotrack: run this file, then `autotrack ls` and `autotrack show RUN`."""

import optuna
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier

import autotrack

autotrack.enable("optuna", "sklearn")
optuna.logging.set_verbosity(optuna.logging.WARNING)

X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)


def objective(trial):
    # What is trained in a trial is recorded in the run of the trial.
    model = DecisionTreeClassifier(
        max_depth=trial.suggest_int("max_depth", 1, 8),
        ccp_alpha=trial.suggest_float("ccp_alpha", 1e-4, 1e-1, log=True),
        random_state=0,
    )
    model.fit(X_train, y_train)
    return model.score(X_test, y_test)


# The study is a run, and each trial a child of it.
study = optuna.create_study(study_name="breast cancer", direction="maximize")
study.optimize(objective, n_trials=6)

# Going on with the study goes on with its run; trials may run in threads.
study.optimize(objective, n_trials=4, n_jobs=2)

# Two objectives, in a run of your own.
with autotrack.start_run("small and good", tags={"stage": "example"}):

    def both(trial):
        leaves = trial.suggest_int("max_leaf_nodes", 2, 16)
        model = DecisionTreeClassifier(max_leaf_nodes=leaves, random_state=0).fit(X_train, y_train)
        return model.score(X_test, y_test), leaves

    optuna.create_study(directions=["maximize", "minimize"]).optimize(both, n_trials=3)
