"""Leave out of a question what claims to come from somebody else: a system, an assistant, a tool."""

import re

_OTHERS = "system|developer|assistant|tool|système|sistema|systeem|outil|werkzeug|herramienta|strumento"
_USER = "user|human|utilisateur|utilisatrice|nutzer|benutzer|usuario|usuaria|utente"
_MARK = re.compile(
    rf"<\|im_start\|>\s*(?P<opened>\w+)|(?P<closed><\|im_end\|>|</\s*(?:{_OTHERS}|{_USER})\s*>|<</SYS>>|\[/?INST\])"
    rf"|<\s*(?P<tag>{_OTHERS}|{_USER})\s*>|<<(?P<sys>SYS)>>"
    rf"|(?:^|(?<=[\n.!?>]\s)|(?<=\n))\s*(?P<label>{_OTHERS}|{_USER})\s*:",
    re.I,
)
"""Where another voice begins or ends: tags, the marks of chat templates, and `SYSTEM:` at the start of a sentence."""


def users_words(question: str) -> str:
    """Give what the user says in their own name; the whole question where nothing of it would be left."""
    kept, start, own = [], 0, True
    for mark in _MARK.finditer(question):
        kept += [question[start : mark.start()]] * own
        role = next((mark[name] for name in ("opened", "tag", "sys", "label") if mark[name]), "")
        own, start = not role or re.fullmatch(_USER, role, re.I) is not None, mark.end()
    kept += [question[start:]] * own
    return " ".join(part.strip() for part in kept if part.strip()) or question
