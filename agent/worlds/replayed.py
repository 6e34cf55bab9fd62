"""The share of each batch that the modifier `replay` takes from earlier tasks, where a world deals its own batches."""


def replayed_items(step: int, share: float, batch_size: int) -> int:
    """Items of earlier tasks in the batch of `step`, from 0: whole numbers that make up `share` of all over the steps.

    A share of 0.01 of 64 items is thus one item in each of 16 steps of 25. At least one item is the task's own.
    """
    upto = [int(number * share * batch_size + 1e-9) for number in (step, step + 1)]
    return min(upto[1] - upto[0], batch_size - 1)
