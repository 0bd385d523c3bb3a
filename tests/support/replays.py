"""Replays, as a worker carries them on."""

from dispatcher.container import Container
from dispatcher.model.replay import StepResult
from dispatcher.replays import job


def step_replays(container: Container) -> StepResult:
    """The next batch of every running replay."""
    return job.step(container.storage, container.schedule, container.settings)
