"""`proxyctl run` and `proxyctl env` with the packages of Anthropic, OpenAI and LangChain, which get nothing else."""

import os
import subprocess
import sys
import tempfile

from checks import check, equal, run

ASK = """
import anthropic, openai
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI
MODEL = "claude-haiku-4-5"
MESSAGES = [{"role": "user", "content": "Hello"}]
print(anthropic.Anthropic().messages.create(model=MODEL, max_tokens=99, messages=MESSAGES).content[0].text)
print(openai.OpenAI().chat.completions.create(model=MODEL, messages=MESSAGES).choices[0].message.content)
print(ChatAnthropic(model=MODEL).invoke("Hello").content)
print(ChatOpenAI(model=MODEL).invoke("Hello").content)
"""
ANSWERS = "You said: Hello\n" * 4
NOWHERE = "http://127.0.0.1:9"


def answers(*command):
    """What a command writes, with a home of its own, a stranger's keys, and a proxy that leads nowhere."""
    with tempfile.TemporaryDirectory(dir=os.environ["HOME"]) as home:
        fresh = {
            "PATH": os.environ["PATH"], "HOME": home, "LANG": "C.UTF-8", "PROXYCTL": os.environ["PROXYCTL"],
            "PROXYD_CONTROL__SOCKET": os.environ["CONTROL_SOCKET"], "PYTHON": sys.executable, "ASK": ASK,
            "ANTHROPIC_API_KEY": "sk-ant-api03-FAKE-stranger", "ANTHROPIC_AUTH_TOKEN": "FAKE-stranger",
            "OPENAI_API_KEY": "sk-FAKE-stranger", "HTTP_PROXY": NOWHERE, "HTTPS_PROXY": NOWHERE,
        }
        done = subprocess.run(command, env=fresh, capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise AssertionError(f"it ended with code {done.returncode}: {done.stderr[-600:]}")
        return done.stdout


@check
def run_points_every_package_at_the_daemon():
    equal(answers(os.environ["PROXYCTL"], "run", "--", sys.executable, "-c", ASK), ANSWERS)


@check
def run_gives_every_package_a_client_key():
    equal(answers(os.environ["PROXYCTL"], "run", "--with-key", "--", sys.executable, "-c", ASK), ANSWERS)


@check
def env_points_a_shell_at_the_daemon():
    script = 'eval "$("$PROXYCTL" env langchain)" && exec "$PYTHON" -c "$ASK"'
    equal(answers("sh", "-c", script), ANSWERS)


if __name__ == "__main__":
    run("proxyctl with Python packages")
