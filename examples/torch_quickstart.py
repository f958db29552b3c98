"""Plain PyTorch with autotrack: run this file, then `autotrack ls` and `autotrack metrics RUN loss`."""

import torch
from torch.utils.data import DataLoader, TensorDataset, random_split

import autotrack

autotrack.enable("torch", torch_loop=True, torch_loss=True)

torch.manual_seed(0)
x = torch.randn(1000, 8)
data = TensorDataset(x, (x[:, :1] * x[:, 1:2] > 0).float())
fit, held_out = random_split(data, [800, 200])
train, validation = DataLoader(fit, batch_size=32, shuffle=True), DataLoader(held_out, batch_size=200)


def network():
    return torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.ReLU(), torch.nn.Linear(32, 1))


def epoch(model, optimizer):
    for features, target in train:
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(model(features), target).backward()
        optimizer.step()


# In runs of your own: each has its optimizer's rate, gradients and loss, what you log, and the weights.
for rate in (0.01, 0.001):
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    with autotrack.start_run(name=f"rate {rate}") as run:
        for number in range(5):
            epoch(model, optimizer)
            with torch.no_grad():
                hits = [((model(features) > 0) == target.bool()).float().mean() for features, target in validation]
            run.log_metrics({"accuracy": torch.stack(hits).mean()}, step=number)
        run.log_model(model)

# Without a run around it, the loop opens one, which ends with the script.
model = network()
epoch(model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9))
