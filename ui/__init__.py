"""How you reach it: command line, HTTP, OpenAI dialect and web page."""
