"""A stand-in for TGI: no model, but its API, each request and answer of which is held to TGI's own document.

A token is a word with the space before it, made from the prompt, the tokens before it and, where it draws, the seed.
A prompt with the word `loop` is answered with the same three words for ever. Every text begins with the special token
`<s>`, and so does what the chat template writes. `PUT /mode/...` makes it misbehave; `GET /calls` tells what it saw.
Run `python tgi_server.py PORT`.
"""

import asyncio
import hashlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import uvicorn
from jsonschema import Draft202012Validator
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

MODEL, SHA = "org/tgi-model", "e985a63cdc139290c5f700ff1929f0b5942cced2"
MOST_TOKENS, MOST_STOPS = 512, 4
WORDS = ["the", "a", "dog", "tree", "sees", "is", "not", "small", "red", "and", "but", "so", "of", "in", "on", "her"]
LOOP = [" once", " again", " forever"]
STATUS = {"validation": 422, "generation": 424, "overloaded": 429, "incomplete_generation": 500}
DOCUMENT = json.loads((Path(__file__).parent / "tgi_openapi.json").read_text("utf-8"))


def checked(schema: str, value: Any) -> Any:
    """The value, if the document allows it: OpenAPI 3.0 says `nullable` where JSON Schema has a type."""
    Draft202012Validator({**_schemas(DOCUMENT), **_schemas(DOCUMENT)["components"]["schemas"][schema]}).validate(value)
    return value


def _schemas(part: Any) -> Any:
    if isinstance(part, list):
        return [_schemas(one) for one in part]
    if not isinstance(part, dict):
        return part
    copied = {key: _schemas(one) for key, one in part.items()}
    return {"anyOf": [copied, {"type": "null"}]} if copied.pop("nullable", False) is True else copied


class Server:
    def __init__(self) -> None:
        self.mode, self.calls, self.broken_off = "ok", list[dict[str, Any]](), 0
        self.busy, self.busiest = 0, 0

    async def behave(self, request: Request) -> Response:
        self.mode, self.calls, self.broken_off, self.busiest = request.path_params["mode"], [], 0, 0
        return JSONResponse({})

    async def told(self, _: Request) -> Response:
        seen = {"calls": self.calls, "broken_off": self.broken_off, "busy": self.busy, "busiest": self.busiest}
        return JSONResponse(seen)

    async def info(self, _: Request) -> Response:
        limits = {"max_concurrent_requests": 128, "max_best_of": 2, "max_stop_sequences": MOST_STOPS}
        limits |= {"max_input_tokens": 256, "max_total_tokens": MOST_TOKENS}
        router = {"validation_workers": 2, "max_client_batch_size": 4, "router": "text-generation-router"}
        model = {"model_id": MODEL, "model_sha": SHA, "version": "3.3.5", "sha": None}
        return JSONResponse(checked("Info", limits | router | model))

    async def health(self, _: Request) -> Response:
        return error("unhealthy", "healthcheck", 503) if self.mode == "ill" else Response()

    async def tokenize(self, request: Request) -> Response:
        body = checked("GenerateRequest", await request.json())
        return JSONResponse(checked("TokenizeResponse", simple("<s>" + body["inputs"])))

    async def chat_tokenize(self, request: Request) -> Response:
        body = checked("ChatRequest", await request.json())
        if unknown := set(body) - set(DOCUMENT["components"]["schemas"]["ChatRequest"]["properties"]):
            return error(f"unknown {unknown}", "validation")
        messages = body["messages"]
        text = "<s>" + "".join(f"[{one['role']}] {one['content']}\n" for one in messages)
        answer = {"templated_text": text, "tokenize_response": simple(text)}
        return JSONResponse(checked("ChatTokenizeResponse", answer))

    async def generate(self, request: Request) -> Response:
        body = await request.json()
        self.calls.append(body | {"authorization": request.headers.get("authorization")})
        parameters = checked("CompatGenerateRequest", body)["parameters"]
        if unknown := set(parameters) - set(DOCUMENT["components"]["schemas"]["GenerateParameters"]["properties"]):
            return error(f"unknown {unknown}", "validation")
        asked = len(body["inputs"].split()) + 1
        if asked + parameters["max_new_tokens"] > MOST_TOKENS:
            return error(f"`inputs` tokens + `max_new_tokens` must be <= {MOST_TOKENS}", "validation")
        if len(parameters.get("stop", [])) > MOST_STOPS or parameters.get("top_p") == 1:
            return error("`top_p` must be > 0.0 and < 1.0", "validation")
        if refused := self.misbehave(body["inputs"]):
            return refused
        return StreamingResponse(self.events(body["inputs"], parameters, asked), media_type="text/event-stream")

    def misbehave(self, prompt: str) -> Response | None:
        match self.mode:
            case "overloaded" | "incomplete_generation" | "generation":
                return error("Request failed", self.mode)
            case "overloaded_once" if len(self.calls) == 1:
                return error("Model is overloaded", "overloaded")
            case "gateway":
                return Response("<html>502</html>", 502, media_type="text/html")
            case "gateway_timeout":
                return Response("upstream request timeout", 504, media_type="text/plain")
            case "denied":
                return JSONResponse({}, 401)
        return error("poisoned", "generation") if "poison" in prompt else None

    async def events(self, prompt: str, parameters: dict[str, Any], asked: int) -> AsyncIterator[str]:
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        ended = False
        try:
            for index, event in enumerate(written(prompt, parameters, asked), 1):
                await asyncio.sleep(0.05 if self.mode == "slow" else 0)
                if index == 3 and self.mode in ("fails_late", "breaks_off"):
                    ended = True
                    if self.mode == "fails_late":
                        yield data(checked("ErrorResponse", {"error": "out of memory", "error_type": "generation"}))
                    return
                ended = "details" in event
                yield data(checked("StreamResponse", event))
        finally:
            self.busy -= 1
            self.broken_off += not ended


def written(prompt: str, parameters: dict[str, Any], asked: int) -> Any:
    """The events of one answer, the last with its details."""
    drawn = parameters["seed"] if parameters.get("do_sample") else 0
    text, most = "", parameters["max_new_tokens"]
    end = 20 + digest(f"{drawn}:{prompt}") % 200
    for index in range(1, most + 1):
        over = index > end and "loop" not in prompt
        word = (
            "</s>"
            if over
            else LOOP[index % 3]
            if "loop" in prompt
            else " " + WORDS[digest(f"{drawn}{text}{prompt}") % 16]
        )
        text += "" if over else word
        token = {"id": digest(word) % 32_000, "text": word, "logprob": -0.25, "special": over}
        event: dict[str, Any] = {"index": index, "token": token}
        if parameters.get("top_n_tokens"):
            event["top_tokens"] = [token, token | {"text": " cat", "logprob": -2.5}][: parameters["top_n_tokens"]]
        stopped = any(text.endswith(stop) for stop in parameters.get("stop", []))
        reason = "eos_token" if over else "stop_sequence" if stopped else "length" if index == most else None
        if reason is not None:
            details = {"finish_reason": reason, "generated_tokens": index, "input_length": asked, "seed": drawn or None}
            yield event | {"generated_text": text, "details": details}
            return
        yield event


def digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])


def simple(text: str) -> list[dict[str, Any]]:
    """One token for the special one at the beginning, and one for every word."""
    words = ["<s>" for _ in range(text.count("<s>"))] + text.replace("<s>", "").split()
    return [{"id": digest(word) % 32_000, "text": word, "start": 0, "stop": 1} for word in words]


def data(event: dict[str, Any]) -> str:
    return f"data:{json.dumps(event)}\n\n"


def error(message: str, kind: str, status: int | None = None) -> Response:
    return JSONResponse(checked("ErrorResponse", {"error": message, "error_type": kind}), status or STATUS[kind])


def create() -> Starlette:
    server = Server()
    return Starlette(
        routes=[
            Route("/mode/{mode}", server.behave, methods=["PUT"]),
            Route("/calls", server.told),
            Route("/info", server.info),
            Route("/health", server.health),
            Route("/tokenize", server.tokenize, methods=["POST"]),
            Route("/chat_tokenize", server.chat_tokenize, methods=["POST"]),
            Route("/", server.generate, methods=["POST"]),
        ]
    )


if __name__ == "__main__":
    port = int(sys.argv[1])
    uvicorn.run(create(), host="127.0.0.1", port=port, log_level="error", timeout_graceful_shutdown=1)
