"""Records what transformers renders, and marks as the assistant's, for templates in the styles of public models:
python turns.py > ../src/fixtures/turns.golden.json

The templates (turn-templates.json) are written for this purpose; conversations that one of them refuses are left out.
"""
import json
from pathlib import Path

import transformers
from transformers.utils.chat_template_utils import render_jinja_template

fixtures = Path(__file__).parent / "../src/fixtures"
templates = json.loads((fixtures / "turn-templates.json").read_text())
say = lambda role, content, **more: {"role": role, "content": content, **more}
user = lambda content: say("user", content)
bot = lambda content, thought=None, **more: say("assistant", content, **({"reasoning_content": thought} if thought else {}), **more)
call = lambda city: {"id": "abc123def", "type": "function", "function": {"name": "get_weather", "arguments": {"city": city}}}
result = lambda content: say("tool", content, tool_call_id="abc123def", name="get_weather")
tools = [{"type": "function", "function": {"name": "get_weather", "description": "The weather of a city.", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]
CONVERSATIONS = {
    "one turn": [user("Where does the river go?"), bot("To the lake.")],
    "system": [say("system", "Be brief."), user("Is it open?"), bot("Yes."), user("Today?"), bot("No, <b>closed</b>.")],
    "repeated": [user("Hi"), bot("Hi"), user("Hi"), bot("Hi"), user("Hi"), bot("Hi there")],
    "open": [user("Hi"), bot("Hello."), user("Bye")],
    "space": [user(" Hi "), bot("  Hello.\n"), user("Bye\n"), bot("\nBye.")],
    "empty": [user("Say nothing."), bot(""), user("Now say it."), bot("It.")],
    "brackets": [user("Write [INST] and </s>?"), bot("<think is no tag, [a] is."), user("And <b>?"), bot("<b>bold</b>")],
    "reasoning": [user("2+2?"), bot("4", "Two and two."), user("3+3?"), bot("6", "Three and three.")],
    "reasoning at first": [user("2+2?"), bot("4", "Two and two."), user("3+3?"), bot("6")],
    "reasoning in the text": [user("2+2?"), bot("<think>\nTwo and two.\n</think>\n\n4"), user("3+3?"), bot("<think>\nThree and three.\n</think>\n\n6")],
    "call": [user("Weather in Bern?"), bot("", tool_calls=[call("Bern")])],
    "tool": [user("Weather in Bern?"), bot("", tool_calls=[call("Bern")]), result('{"sky": "rain"}'), bot("It rains.")],
    "tools twice": [say("system", "Be brief."), user("Weather in Bern?"), bot("", tool_calls=[call("Bern")]), result('{"sky": "rain"}'), bot("It rains."), user("And Basel?"), bot("", tool_calls=[call("Basel")]), result('{"sky": "sun"}'), bot("The sun shines."), user("Thanks")],
    "tool and reasoning": [user("Weather in Bern?"), bot("I look.", "A tool knows.", tool_calls=[call("Bern")]), result('{"sky": "rain"}'), bot("It rains.", "Rain it says."), user("Thanks"), bot("You are welcome.")],
    "parts": [user([{"type": "text", "text": "2+2?"}]), bot([{"type": "thinking", "thinking": "Two and two."}, {"type": "text", "text": "4"}]), user("3+3?"), bot([{"type": "text", "text": "6"}])],
}
out = {"made_with": f"transformers {transformers.__version__}", "tools": tools, "conversations": CONVERSATIONS, "rendered": {}}
for name, entry in templates.items():
    out["rendered"][name] = {}
    for title, messages in CONVERSATIONS.items():
        with_tools = tools if any(m["role"] == "tool" or "tool_calls" in m for m in messages) else None
        try:
            (text,), (spans,) = render_jinja_template(
                [messages], chat_template="".join(entry["lines"]), tools=with_tools, return_assistant_tokens_mask=True,
                add_generation_prompt=messages[-1]["role"] == "user", bos_token="<s>", eos_token="</s>",
            )
        except Exception:
            continue
        out["rendered"][name][title] = {"text": text, "said": [text[start:end] for start, end in spans if end > start]}
print(json.dumps(out, indent=1, ensure_ascii=False))
