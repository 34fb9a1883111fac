"""A network that learns: one step at a time, its average beside it. Knows no window and no plan."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping

import torch
from torch import Tensor

from rr_engine.boards import Board
from rr_engine.errors import TrainingError
from rr_engine.nn.network import Network
from rr_engine.nn.precision import fast_dtype
from rr_engine.nn.tensors import require_fit
from rr_engine.settings import NetworkSettings, TrainingSettings
from rr_engine.training.batches import Sample
from rr_engine.training.loss import Losses, losses
from rr_engine.training.state import optimizer_tensors, restore_optimizer, under

_SHARE_OF_STEPS = 4  # an average reaches back over this part of the steps done, at most


class Trainee(Network):
    """A network whose trunk learns in the precision that is fastest here, weights and all else in single precision.

    The move head stays in single precision, too: in bfloat16 the gradients of many legal moves cancel out, which cost
    8 % of the policy loss (docs/experiments.md).
    """

    def trunk(self, planes: Tensor, numbers: Tensor, board: Board) -> tuple[Tensor, Tensor, Tensor]:
        """As `Network.trunk`."""
        device = planes.device.type
        dtype = fast_dtype(device)
        with torch.autocast(device, dtype, enabled=self.training and dtype != torch.float32):
            x, summary, hidden = super().trunk(planes, numbers, board)
        return x.float(), summary.float(), hidden.float()


class Learner:
    """Weights, their average, and the optimizer."""

    def __init__(
        self,
        board: Board,
        network: NetworkSettings,
        settings: TrainingSettings,
        *,
        start: Mapping[str, Tensor] | None = None,
        device: str = "cpu",
    ) -> None:
        """New weights by `settings.seed`, or those of `start`."""
        torch.manual_seed(settings.seed)
        model = Trainee(network)
        if start is not None:
            model.load_state_dict(start, strict=True)
        self.model = model.to(device)
        self.model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - its stub lacks this
        self.average = copy.deepcopy(self.model).requires_grad_(False).eval()
        self.device = device
        self._board, self._settings = board, settings
        weights = list(self.model.parameters())
        decayed = [weight for weight in weights if weight.dim() > 1]
        plain = [weight for weight in weights if weight.dim() <= 1]
        groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        self._optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)

    def losses(self, sample: Sample) -> Losses:
        """Of the weights on a batch."""
        outputs = self.model.outputs(sample.batch, self._board)
        settings = self._settings
        return losses(outputs, sample, label_smoothing=settings.label_smoothing, surprise_share=settings.surprise_share)

    def loss(self, sample: Sample) -> Tensor:
        """What `learn` makes smaller."""
        return self.losses(sample).total(self._settings)

    def learn(self, sample: Sample, *, step: int, rate: float) -> Losses:
        """Make step number `step` at a learning rate; raises TrainingError before it if anything is not finite."""
        part = self.losses(sample)
        loss = part.total(self._settings)
        if not math.isfinite(loss.item()):
            raise TrainingError(f"loss is {loss.item()} at step {step}: {part}")
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self._settings.clip_norm)
        if not math.isfinite(norm.item()):
            raise TrainingError(f"gradient is {norm.item()} at step {step}: {part}")
        self._optimizer.step()
        self._follow(1 / min(self._settings.average_steps, 1 + step // _SHARE_OF_STEPS))
        return part

    @torch.no_grad()
    def _follow(self, share: float) -> None:
        """Move the average, its norms' statistics too, by `share` towards the weights."""
        own, average = self.model.state_dict(), self.average.state_dict()
        for name, tensor in average.items():
            if tensor.is_floating_point():
                tensor.lerp_(own[name], share)
            else:
                tensor.copy_(own[name])

    def tensors(self) -> dict[str, Tensor]:
        """All that `restore` needs."""
        parts = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": optimizer_tensors(self.model, self._optimizer),
        }
        return {f"{part}.{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Be again what `tensors` told; raises DataError where they are those of another network."""
        for part, module in (("model", self.model), ("average", self.average)):
            require_fit(under(part, tensors), module.state_dict(), f"{part} of a training state")
        self.model.load_state_dict(under("model", tensors), strict=True)
        self.average.load_state_dict(under("average", tensors), strict=True)
        restore_optimizer(self.model, self._optimizer, under("optimizer", tensors))
