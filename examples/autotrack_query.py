"""Asking which runs were good, and taking what they have into a frame."""

import autotrack

autotrack.enable(project="query")

for depth in (2, 4, 8):
    for lr in (0.1, 0.01):
        with autotrack.start_run(name=f"depth {depth}", tags={"team": "risk"}) as run:
            run.log_params({"depth": depth, "lr": lr})
            for step in range(20):
                run.log_metrics({"val/loss": depth * lr + 1 / (step + 1)}, step=step)

good = autotrack.runs(
    where="project = query and metrics.val/loss.min < 0.3 and params.depth >= 4 and started_at > 1h ago",
    sort="metrics.val/loss.best",
    columns=["params.depth", "params.lr", "metrics.val/loss.min"],
)
for run in good:
    print(run["name"], run["values"])

curves = autotrack.series(good, "val/loss")
print(len(curves), "points; the last one:", curves[-1])

# The same from the command line:
#   autotrack ls --where 'metrics.val/loss.min < 0.3 and params.depth >= 4' --columns params.lr,metrics.val/loss.min
#   autotrack sql "select key, avg(last) from metrics group by key"
