"""The optimiser: Muon for the matrices inside the blocks, AdamW for the embedding and the norms.

Muon makes each matrix's momentum nearly orthogonal before the step (five Newton-Schulz iterations in bfloat16), which
learns this little model several times faster than AdamW alone. Matrices of one shape are stacked and handled in one
batched product. Both learning rates follow one schedule: short warm-up, flat, then down to zero; the descent to zero
is what matters most for the result.
"""
import torch

MATRIX_RATE, OTHER_RATE = 0.02, 4e-3
WARM_UP, FLAT_UNTIL = 0.005, 0.35


def schedule(progress: float) -> float:
    """Factor on the learning rates; progress runs from 0 to 1."""
    return min(1.0, progress / WARM_UP + 0.02) * min(1.0, max(0.0, (1.0 - progress) / (1.0 - FLAT_UNTIL)))


def orthogonalise(stack: torch.Tensor) -> torch.Tensor:
    """[n, rows, columns] → matrices with the same singular directions and singular values near 1."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = stack.bfloat16()
    tall = x.size(1) > x.size(2)
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).float()


class Optimiser:
    def __init__(self, model: torch.nn.Module, weight_decay: float = 0.05, momentum: float = 0.95):
        self.weight_decay, self.momentum = weight_decay, momentum
        self.groups: dict[torch.Size, list[torch.nn.Parameter]] = {}
        matrices = [p for p in model.blk.parameters() if p.dim() == 2]
        for p in matrices:
            self.groups.setdefault(p.shape, []).append(p)
        self.velocity = {shape: torch.zeros(len(ps), *shape) for shape, ps in self.groups.items()}
        inside = {id(p) for p in matrices}
        rest = [p for p in model.parameters() if id(p) not in inside]
        self.adam = torch.optim.AdamW(rest, lr=OTHER_RATE, betas=(0.9, 0.95), weight_decay=0.0, fused=True)

    @torch.no_grad()
    def step(self, factor: float) -> None:
        rate = MATRIX_RATE * factor
        for shape, matrices in self.groups.items():
            gradient, velocity = torch.stack([p.grad for p in matrices]), self.velocity[shape]
            velocity.lerp_(gradient, 1 - self.momentum)
            update = orthogonalise(gradient.lerp(velocity, self.momentum))
            scale = rate * max(1.0, shape[0] / shape[1]) ** 0.5
            for p, u in zip(matrices, update):
                p.mul_(1 - rate * self.weight_decay).add_(u, alpha=-scale)
                p.grad = None
        for group in self.adam.param_groups:
            group["lr"] = OTHER_RATE * factor
        self.adam.step()
        self.adam.zero_grad()

    def state(self) -> dict:
        return {"velocity": list(self.velocity.values()), "adam": self.adam.state_dict()}

    def restore(self, state: dict) -> None:
        for shape, velocity in zip(self.velocity, state["velocity"]):
            self.velocity[shape].copy_(velocity)
        self.adam.load_state_dict(state["adam"])
