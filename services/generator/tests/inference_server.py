"""A scripted inference server: no model, but it speaks as vLLM, SGLang, llama.cpp, TGI or a plain OpenAI server does.

What it writes is made from the prompt, and from the seed where it draws; a token is a word with the space before it.
A prompt with the word `loop` is answered with the same three words for ever.
`PUT /mode/...` makes it misbehave from then on; `GET /calls` tells what it was asked.
Run `python inference_server.py PORT [--speaks KIND] [--mode MODE]`.
"""

import argparse
import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

MODEL = "org/scripted"
KINDS = ("vllm", "sglang", "llamacpp", "tgi", "other")
MODES = (
    *("ok", "busy", "busy_once", "broken", "denied", "garbled", "empty", "filtered", "uncounted", "missing"),
    *(
        "slow",
        "gateway_timeout",
        "untold",
        "told_late",
        "another_model",
        "one_only",
        "hesitates",
        "uncounted_stream",
        "thinks",
    ),
)
MOST_TOKENS = 512
WORDS = ["the", "a", "dog", "tree", "sees", "is", "not", "small", "red", "and", "but", "so", "of", "in", "on", "her"]
STOPPED_BY = {"vllm": "stop_reason", "sglang": "matched_stop"}
OWNERS = {"tgi": MODEL, "other": "somebody"}


class Server:
    def __init__(self, speaks: str, mode: str) -> None:
        self.speaks, self.mode, self.calls = speaks, mode, list[dict[str, Any]]()
        self.busy, self.busiest, self.broken_off = 0, 0, 0

    async def behave(self, request: Request) -> Response:
        self.mode = request.path_params["mode"]
        self.calls.clear()
        self.busiest = self.broken_off = 0
        return JSONResponse({})

    async def told(self, _: Request) -> Response:
        counts = {"X-Most-At-Once": str(self.busiest), "X-Broken-Off": str(self.broken_off)}
        return JSONResponse(self.calls, headers=counts)

    async def models(self, _: Request) -> Response:
        if self.mode in ("broken", "denied"):
            return self.error(500 if self.mode == "broken" else 401, self.mode)
        await self.hesitate()
        id = "org/another" if self.mode == "another_model" else MODEL
        card = {"id": id, "object": "model", "created": 0, "owned_by": OWNERS.get(self.speaks, self.speaks)}
        return JSONResponse({"object": "list", "data": [card, card | {"id": "/models/a path.gguf"}]})

    async def about(self, request: Request) -> Response:
        known = {"vllm": "/version", "sglang": "/server_info"}
        if known.get(self.speaks) != request.url.path:
            return JSONResponse({"detail": "Not Found"}, 404)
        if self.mode == "untold":
            return self.error(503, "starting")
        if self.mode == "told_late":
            await asyncio.sleep(6)
        await self.hesitate()
        return JSONResponse({"version": "0.99.0", "enable_deterministic_inference": True})

    async def hesitate(self) -> None:
        await asyncio.sleep(0.5 if self.mode == "hesitates" else 0)

    async def complete(self, request: Request) -> Response:
        body = await request.json()
        self.calls.append(body | {"path": request.url.path, "authorization": request.headers.get("authorization")})
        prompt = body.get("prompt")
        if prompt is None:
            prompt = "".join(f"<{message['role']}>{message['content']}\n" for message in body["messages"])
        if isinstance(prompt, list):
            prompt = " ".join(map(str, prompt))
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        try:
            return (
                await self.misbehave(prompt, body.get("stream", False))
                or self.refuse(body, prompt)
                or self.answer(body, prompt)
            )
        finally:
            self.busy -= 1

    async def misbehave(self, prompt: str, stream: bool) -> Response | None:
        match self.mode:
            case "busy":
                return self.error(429, "overloaded", {"Retry-After": "1"})
            case "busy_once" if len(self.calls) == 1:
                return self.error(503, "overloaded")
            case "one_only" if len(self.calls) > 1:
                return self.error(429, "overloaded")
            case "broken":
                return self.error(500, "out of memory")
            case "denied":
                return self.error(401, "Unauthorized")
            case "missing":
                return self.error(404, f"The model `{MODEL}` does not exist.")
            case "gateway_timeout":
                return self.error(504, "upstream request timeout")
            case "garbled":
                return Response('{"choices": [', media_type="application/json")
            case "empty":
                return JSONResponse({})
            case "slow" if not stream:
                await asyncio.sleep(1)
        return self.error(500, "poisoned") if "poison" in prompt else None

    def refuse(self, body: dict[str, Any], prompt: str) -> Response | None:
        """What the kinds refuse, with their words and statuses."""
        asked = len(prompt.split())
        ends_it_later = self.speaks == "llamacpp" and asked < MOST_TOKENS
        if asked + body["max_tokens"] > MOST_TOKENS and not ends_it_later:
            return self.error(
                422 if self.speaks == "tgi" else 400,
                f"This model's maximum context length is {MOST_TOKENS} tokens. However, your request has {asked} input"
                f" tokens plus {body['max_tokens']} 'max_tokens'.",
            )
        if body.get("stream") and body.get("prompt_logprobs"):
            return self.error(400, "`prompt_logprobs` are not available when `stream=True`.")
        if self.speaks == "llamacpp" and body["repeat_last_n"] < 0:
            return self.error(400, "Field 'repeat_last_n': Value must be between 0 <= value <= 2147483647, but got -1")
        if not prompt:
            return self.error(400, "Either prompt or prompt_embeds must be provided and non-empty.")
        if self.speaks in ("tgi", "other") and len(body.get("stop", [])) > 4:
            return self.error(422, "`stop` supports up to 4 stop sequences.")
        if self.speaks == "tgi" and (body["model"] != "tgi" or body.get("top_p") == 1):
            return self.error(422, "`top_p` must be > 0.0 and < 1.0")
        return None

    def answer(self, body: dict[str, Any], prompt: str) -> Response:
        text, ended, stop = write(
            prompt, body | {"max_tokens": min(body["max_tokens"], MOST_TOKENS - len(prompt.split()))}
        )
        end_token = ended == "stop" and stop is None
        usage = {"prompt_tokens": len(prompt.split()), "completion_tokens": len(text.split()) + end_token}
        choice: dict[str, Any] = {"index": 0, "finish_reason": ended, "logprobs": None}
        if self.speaks == "tgi" and stop is not None:
            choice["finish_reason"] = "stop_sequence"
        elif stop is not None:
            text = text[: -len(stop)]
        if self.speaks in STOPPED_BY:
            choice[STOPPED_BY[self.speaks]] = stop
        if self.mode == "filtered":
            choice["finish_reason"] = "content_filter"
        chat = "messages" in body
        self.tell_logprobs(body, prompt, text, choice)
        choice |= {"message": {"role": "assistant"} | self.taken_apart(body, text)} if chat else {"text": text}
        answer: dict[str, Any] = {"id": "1", "created": 0, "model": MODEL, "choices": [choice]}
        answer["object"] = "chat.completion" if chat else "text_completion"
        if self.mode != "uncounted":
            answer["usage"] = usage | {"total_tokens": sum(usage.values())}
            if self.speaks in ("vllm", "sglang"):
                answer["usage"]["prompt_tokens_details"] = {"cached_tokens": usage["prompt_tokens"] - 1}
        if self.speaks in ("llamacpp", "tgi"):
            answer["system_fingerprint"] = "b6000-abc"
        if self.speaks == "llamacpp":
            answer["timings"] = {"cache_n": usage["prompt_tokens"] - 1}
        if body.get("stream"):
            return StreamingResponse(self.parts(body, answer, choice), media_type="text/event-stream")
        return JSONResponse(answer)

    def taken_apart(self, body: dict[str, Any], text: str) -> dict[str, str]:
        """As reasoning parsers do by default, here with all of the text."""
        asked_whole = body.get("reasoning_format") == "none" or body.get("separate_reasoning") is False
        apart = self.mode == "thinks" and not (asked_whole and self.speaks in ("llamacpp", "sglang"))
        return {"content": "", "reasoning_content": text} if apart else {"content": text}

    def tell_logprobs(self, body: dict[str, Any], prompt: str, text: str, choice: dict[str, Any]) -> None:
        """As vLLM and llama.cpp do; `logprobs` is a number for texts and a boolean for chats."""
        words = re.findall(r"\s*\S+", text)
        if body.get("logprobs") is True or (self.speaks == "llamacpp" and body.get("logprobs")):
            tops = [{"token": " cat", "logprob": -2.5}, {"token": " dog", "logprob": -1.5}]
            tops = tops[: body.get("top_logprobs", body["logprobs"])]
            choice["logprobs"] = {"content": [{"token": w, "logprob": -0.5, "top_logprobs": tops} for w in words]}
        elif body.get("logprobs") is not None:
            tops = [{word: -0.5, " cat": -2.5} for word in words]
            choice["logprobs"] = {"tokens": words, "token_logprobs": [-0.5] * len(words), "top_logprobs": tops}
        if body.get("prompt_logprobs") is not None:
            told = [{"7": {"logprob": -0.75, "decoded_token": word}} for word in prompt.split()[1:]]
            choice["prompt_logprobs"] = [None, *told]

    async def parts(self, body: dict[str, Any], answer: dict[str, Any], choice: dict[str, Any]) -> AsyncIterator[str]:
        """The answer word by word; vLLM counts in every part when it is asked to."""
        chat, ended = "messages" in body, False
        name = "reasoning_content" if "reasoning_content" in choice.get("message", {}) else "content"
        text = choice["message"][name] if chat else choice["text"]
        usage = answer.pop("usage")
        plain = {name: value for name, value in choice.items() if name not in ("message", "text", "logprobs")}
        words = re.findall(r"\s*\S+|\s+$", text) or [""]
        try:
            for number, word in enumerate(words, 1):
                await asyncio.sleep(0.05 if self.mode == "slow" else 0.002 if "forever" in text else 0)
                last = number == len(words)
                part = plain | {"finish_reason": plain["finish_reason"] if last else None}
                part |= {"delta": {name: word}} if chat else {"text": word}
                told = answer | {"choices": [part], "usage": None}
                if body.get("stream_options", {}).get("continuous_usage_stats"):
                    told["usage"] = usage | {"completion_tokens": number}
                yield f"data: {json.dumps(told)}\n\n"
            ended = True
            if self.mode != "uncounted_stream":
                yield f"data: {json.dumps(answer | {'choices': [], 'usage': usage})}\n\n"
            yield "data: [DONE]\n\n"
        finally:
            self.broken_off += not ended

    def error(self, status: int, message: str, headers: dict[str, str] | None = None) -> Response:
        if self.speaks == "tgi":
            return JSONResponse({"error": message, "error_type": "validation"}, status, headers)
        kind = {400: "BadRequestError", 401: "Unauthorized", 404: "NotFoundError"}.get(status, "InternalServerError")
        body = {"message": message, "type": kind, "param": None, "code": status}
        return JSONResponse({"error": body}, status, headers)


def write(prompt: str, body: dict[str, Any]) -> tuple[str, str, str | None]:
    """The text, why it ended in OpenAI's words, and the stop string at its end if one did it."""
    drawn = body["seed"] if body["temperature"] > 0 else 0
    bytes_ = b"".join(hashlib.sha512(f"{drawn}:{prompt}:{round}".encode()).digest() for round in range(4))
    words = [" " + WORDS[byte % len(WORDS)] for byte in bytes_[: 20 + bytes_[0] % 200]]
    if "loop" in prompt:
        words = [" once", " again", " forever"] * MOST_TOKENS
    text = ""
    for word in words[: body["max_tokens"]]:
        text += word
        for stop in body.get("stop", []):
            if (position := text.find(stop)) >= 0:
                return text[: position + len(stop)], "stop", stop
    return text, "length" if len(words) >= body["max_tokens"] else "stop", None


def create(speaks: str, mode: str) -> Starlette:
    server = Server(speaks, mode)
    return Starlette(
        routes=[
            Route("/mode/{mode}", server.behave, methods=["PUT"]),
            Route("/calls", server.told),
            Route("/v1/models", server.models),
            Route("/v1/completions", server.complete, methods=["POST"]),
            Route("/v1/chat/completions", server.complete, methods=["POST"]),
            Route("/{path}", server.about),
        ]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--speaks", choices=KINDS, default="vllm")
    parser.add_argument("--mode", choices=MODES, default="ok")
    asked = parser.parse_args()
    app = create(asked.speaks, asked.mode)
    uvicorn.run(app, host="127.0.0.1", port=asked.port, log_level="error", timeout_graceful_shutdown=1)
