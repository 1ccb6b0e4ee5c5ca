"""A recorded judge: an OpenAI-compatible server that replies what a real judge model once replied.

It is no model. It looks for a recorded instruction and response in the prompt and replies with the recorded text;
`PUT /mode/...` makes it misbehave from then on. Run `python judge_backend.py PORT [--recorded FILE ...] [--mode MODE]`.
"""

import argparse
import asyncio
import json
import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

MODES = (
    *("ok", "busy_once", "broken", "slow", "garbled", "closed", "truncated", "refusing", "no_schema", "denied"),
    "offended",
    *("mended", "stubborn", "plain", "held"),
)
PAIR = re.compile(r"response 1\]\n(.*?)\n\[\w+ response 2\]\n(.*?)\n\[", re.DOTALL)


class Recorded:
    """(instruction, response) -> what the judge model replied, or `otherwise` for what was not recorded."""

    def __init__(self, files: list[Path], otherwise: str) -> None:
        self.rows = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
        self.otherwise = otherwise

    def reply(self, prompt: str) -> str:
        if (pair := PAIR.search(prompt)) is not None:
            return preference(*pair.groups())
        for row in self.rows:
            if f"response]\n{row['output']}\n[" in prompt and f"instruction]\n{row['instruction']}\n[" in prompt:
                return str(row["raw"])
        return self.otherwise


def preference(first: str, second: str) -> str:
    """Prefers the response with the word `better`; when neither or both have it, the one shown first."""
    verdict = "2" if "better" in second and "better" not in first else "1"
    return json.dumps({"rationale": f"prefers {verdict}", "verdict": "tie" if first == second else verdict})


def create_backend(recorded: Recorded, mode: str) -> FastAPI:
    app = FastAPI()
    seen: Counter[str] = Counter()
    asked_for: Counter[str] = Counter()  # prompts, in every mode together

    @app.put("/mode/{chosen}")
    async def behave(chosen: str) -> None:
        nonlocal mode
        mode = chosen
        seen.clear()

    @app.get("/v1/models")
    async def models() -> Response:
        model = {"id": "recorded", "object": "model", "created": 0, "owned_by": "nobody"}
        return JSONResponse({"object": "list", "data": [model]}, 500 if mode == "broken" else 200)

    @app.get("/calls")
    async def calls() -> dict[str, int]:
        return {name: seen[name] for name in ("all", "with_schema", "with_logprobs", "repairs")}

    @app.get("/prompts")
    async def prompts() -> dict[str, int]:
        return asked_for

    @app.post("/v1/completions")
    async def complete_text(request: Request) -> Any:
        body = await request.json()
        seen.update(["all", *(["with_schema"] if "structured_outputs" in body else [])])
        if mode == "plain" and body.keys() & {"structured_outputs", "response_format", "logprobs"}:
            return JSONResponse({"error": {"message": "unknown field"}}, 422)
        text, tokens = recorded.reply(body["prompt"]), list(recorded.reply(body["prompt"]))
        logprobs = {"tokens": tokens, "top_logprobs": [{one: 0.0} for one in tokens]} if body.get("logprobs") else None
        return {"choices": [{"index": 0, "text": text, "finish_reason": "stop", "logprobs": logprobs}]}

    @app.post("/v1/chat/completions")
    async def complete(request: Request) -> Any:
        body = await request.json()
        asked = [message["content"] for message in body["messages"] if message["role"] == "user"]
        prompt, repaired = asked[0], len(asked) > 1
        options = {"with_schema": "response_format", "with_logprobs": "logprobs"}
        seen.update(["all", prompt, *(name for name, option in options.items() if option in body)])
        seen["repairs"] += repaired
        asked_for[prompt] += 1
        while mode == "held" and "Wait" in prompt:  # until another mode is chosen
            await asyncio.sleep(0.05)
        match mode:
            case "busy_once" if seen[prompt] == 1:
                return JSONResponse({"error": {"message": "busy"}}, 429, {"Retry-After": "1"})
            case "broken":
                return JSONResponse({"error": {"message": "out of memory"}}, 500)
            case "denied":
                return JSONResponse({"error": {"message": "no such key"}}, 401)
            case "offended":
                return JSONResponse({"error": {"message": "flagged by moderation"}}, 403)
            case "no_schema" if "response_format" in body:
                return JSONResponse({"error": {"message": "response_format is not supported"}}, 400)
            case "slow":
                await asyncio.sleep(5)
            case "garbled":
                return Response('{"choices": [', media_type="application/json")
            case "mended" if not repaired:
                return completion('{"safety": {"rationale": "very", "score": "9"}}', "stop")
            case "stubborn":
                return completion("I would rather not say.", "stop")
            case "refusing":
                return completion(None, "stop", refusal="I cannot assess this.")
            case "truncated":
                return completion(recorded.reply(prompt)[:40], "length")
        return completion(recorded.reply(prompt), "stop", logprobs=body.get("logprobs", False))

    return app


def completion(
    text: str | None, finish_reason: str, refusal: str | None = None, logprobs: bool = False
) -> dict[str, Any]:
    """Its tokens are its characters; a digit shares its probability with the one below."""
    message = {"role": "assistant", "content": text, "refusal": refusal}
    tokens = {"content": [token(one) for one in text or ""]} if logprobs else None
    choice = {"index": 0, "finish_reason": finish_reason, "message": message, "logprobs": tokens}
    usage = {"prompt_tokens": 0, "completion_tokens": len(text or ""), "total_tokens": len(text or "")}
    origin = {"id": "1", "object": "chat.completion", "created": 0, "model": "recorded"}
    return {**origin, "choices": [choice], "usage": usage}


def token(text: str) -> dict[str, Any]:
    likely = {text: 0.75, str(int(text) - 1): 0.25} if text in "2345" else {text: 1.0}
    top = [{"token": one, "logprob": math.log(share), "bytes": None} for one, share in likely.items()]
    return {"token": text, "logprob": 0.0, "bytes": list(text.encode()), "top_logprobs": top}


async def close_connections(port: int) -> None:
    """Accept every connection and end it without a word."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--recorded", type=Path, action="append", default=[])
    parser.add_argument("--otherwise", default="")
    parser.add_argument("--mode", choices=MODES, default="ok")
    arguments = parser.parse_args()
    if arguments.mode == "closed":
        asyncio.run(close_connections(arguments.port))
    backend = create_backend(Recorded(arguments.recorded, arguments.otherwise), arguments.mode)
    uvicorn.run(backend, host="127.0.0.1", port=arguments.port, log_level="error", timeout_graceful_shutdown=1)
