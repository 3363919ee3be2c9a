"""``gatewise kernels``."""

from gatewise.cli.common import output


def kernels() -> None:
    """List the implementations of the LSTM: which run here, and why the others do not.

    Example: `gatewise kernels`
    """
    from gatewise.kernels import describe

    for line in describe():
        output.print(line, highlight=False, markup=False, soft_wrap=True)
