"""accelerate with autotrack: run this file, then `autotrack ls` and `autotrack metrics RUN loss`."""

import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader, TensorDataset, random_split

import autotrack

autotrack.enable("accelerate")

torch.manual_seed(0)
x = torch.randn(1000, 8)
fit, held_out = random_split(TensorDataset(x, x.sum(1, keepdim=True)), [800, 200])

config = {"epochs": 5, "lr": 0.05}
accelerator = Accelerator(cpu=True)
accelerator.init_trackers("quickstart", config=config)
model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
optimizer = torch.optim.AdamW(model.parameters(), lr=config["lr"])
model, optimizer, train, validation = accelerator.prepare(
    model, optimizer, DataLoader(fit, batch_size=32, shuffle=True), DataLoader(held_out, batch_size=100)
)

step = 0
for epoch in range(config["epochs"]):
    for features, target in train:
        loss = torch.nn.functional.mse_loss(model(features), target)
        accelerator.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        accelerator.log({"loss": loss.item()}, step=step)
    with torch.no_grad():
        losses = [torch.nn.functional.mse_loss(model(features), target) for features, target in validation]
    accelerator.log({"validation_loss": torch.stack(losses).mean().item(), "epoch": epoch}, step=step)
accelerator.end_training()
