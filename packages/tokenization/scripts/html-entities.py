"""Writes HTML's named characters as Python has them: python html-entities.py > ../src/chat/jinja/methods/html-entities.json"""
import html.entities
import json

names = " ".join(f"{name}={text}" for name, text in html.entities.html5.items())
print('{ "names": ' + json.dumps(names, ensure_ascii=False) + " }")
