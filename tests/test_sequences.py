import torch
from hypothesis import given
from hypothesis import strategies as st

from gatewise.sequences import cuts_of_resets, in_order, lengths_of_mask, mask_of_lengths, zero_padding

lengths_and_steps = st.integers(0, 9).flatmap(
    lambda steps: st.tuples(st.lists(st.integers(0, steps), max_size=6), st.just(steps))
)


@given(lengths_and_steps)
def test_lengths_and_masks_are_two_forms_of_one_thing(case):
    lengths, steps = torch.tensor(case[0], dtype=torch.int64), case[1]
    mask = mask_of_lengths(lengths, steps)
    assert mask.shape == (len(lengths), steps)
    assert mask.dtype == torch.bool
    assert torch.equal(lengths_of_mask(mask), lengths)
    assert not (mask[:, 1:] & ~mask[:, :-1]).any()  # once ended, ended


def test_zero_padding_takes_nan_away_and_leaves_its_argument_alone():
    x = torch.full((3, 2, 2), torch.nan)
    x[:1, 0] = 1.0
    padded = zero_padding(x, torch.tensor([1, 0]))
    assert padded[0, 0].tolist() == [1.0, 1.0]
    assert padded.sum() == 2
    assert x.isnan().any()


def test_zero_padding_works_on_any_number_of_dimensions():
    assert zero_padding(torch.ones(3, 2), torch.tensor([1, 2])).T.tolist() == [[1, 0, 0], [1, 1, 0]]
    assert zero_padding(torch.ones(3, 2, 4, 5), torch.tensor([1, 2])).sum() == 3 * 20


def test_order_of_time():
    assert list(in_order(3, reverse=False)) == [0, 1, 2]
    assert list(in_order(0, reverse=True)) == []


@given(st.lists(st.booleans(), min_size=1, max_size=8))
def test_a_reset_cuts_both_directions_at_the_same_place(row):
    """Between t-1 and t: the forward direction is cut before t, the reverse before t-1."""
    resets = torch.tensor(row)[:, None]
    forward, reverse = (cuts_of_resets(resets, reverse=flag).flatten().tolist() for flag in (False, True))
    assert forward == row
    assert reverse == [*row[1:], False]
