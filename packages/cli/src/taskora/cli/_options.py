"""Options that several commands have."""

from typing import Annotated, Final, TypeAlias

import typer

DEFAULT_URL: Final = "redis://localhost:6379"

Url: TypeAlias = Annotated[
    str, typer.Option("--url", envvar="TASKORA_URL", help="Where the server is: redis://, rediss:// or unix://.")
]
Prefix: TypeAlias = Annotated[
    str | None,
    typer.Option("--prefix", envvar="TASKORA_PREFIX", help="Separates applications that share a server."),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
