"""Two routes: dispatch a job, look at a job."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from indexer_contracts import INDEX_SOURCE, SourceIndex, SourceToIndex
from taskora.contracts import BackendError, ExpiredError, JobCancelledError, JobFailedError, JobState, UsageError
from taskora.producer import AsyncJobHandle, AsyncProducer

DEFAULT_URL: Final = "redis://localhost:6379"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The job that was dispatched."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """Where a job stands; the result if it has completed, the error if it ended otherwise."""

    id: str
    state: JobState
    result: SourceIndex | None
    error: str | None


def create_app(url: str | None = None) -> FastAPI:
    """The application.

    Args:
        url: Where the server is; INDEXER_REDIS_URL by default.
    """
    target = url or os.environ.get("INDEXER_REDIS_URL", DEFAULT_URL)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with AsyncProducer(target) as producer:
            app.state.producer = producer
            yield

    app = FastAPI(title="Indexer", lifespan=lifespan)
    app.add_api_route("/index", _index, methods=["POST"], status_code=202)
    app.add_api_route("/jobs/{job_id}", _look, methods=["GET"])
    app.add_exception_handler(BackendError, _unavailable)
    return app


def _producer(request: Request) -> AsyncProducer:
    producer: AsyncProducer = request.app.state.producer
    return producer


Producing = Annotated[AsyncProducer, Depends(_producer)]


async def _index(source: SourceToIndex, response: Response, producer: Producing) -> Accepted:
    """Dispatches a job for a source."""
    handle = await producer.register(INDEX_SOURCE).dispatch(source)
    response.headers["Location"] = f"/jobs/{handle.id}"
    return Accepted(id=handle.id)


async def _look(job_id: str, producer: Producing) -> JobView:
    """Looks at a job."""
    try:
        handle = producer.register(INDEX_SOURCE).job(job_id)
    except UsageError as refusal:
        raise HTTPException(422, str(refusal)) from refusal
    state = await handle.state()
    if state is None:
        raise HTTPException(404, f"there is no job {job_id}, or no longer")
    result, error = await _end_of(handle) if state.is_terminal else (None, None)
    return JobView(id=handle.id, state=state, result=result, error=error)


async def _end_of(handle: AsyncJobHandle[SourceIndex]) -> tuple[SourceIndex | None, str | None]:
    """The result of a job that has ended, or why there is none."""
    try:
        return await handle.result(timeout=0), None
    except JobFailedError as failure:
        return None, failure.error
    except (JobCancelledError, ExpiredError) as failure:
        return None, str(failure)


async def _unavailable(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": "the job server cannot be used at the moment"}, 503, {"Retry-After": "5"})
