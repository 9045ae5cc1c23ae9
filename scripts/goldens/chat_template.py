"""Renders our own chat templates, in the constructs that models use, with jinja2 set up as transformers does.

usage: python scripts/goldens/chat_template.py       (transformers 5.23.0, jinja2 3.1.6)
writes Tests/Goldens/chat_templates.json
"""
import datetime, json, pathlib
from transformers.utils import chat_template_utils as utils

class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None): return cls(2024, 7, 26)
utils.datetime = Clock

T = {
"marks": "{% for m in messages %}{{ '<|a|>' + m['role'] + '\\n' + m['content'] + '<|z|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|a|>assistant\\n' }}{% endif %}",
"standard system": "{%- if messages[0].role == 'system' %}\n    {{- '<s>' ~ messages[0].content | trim }}\n{%- else %}\n    {{- '<s>Be kind.' }}\n{%- endif %}\n{%- for m in messages if m.role != 'system' %}\n{{ loop.index }}/{{ loop.length }} {{ m.role | upper }}: {{ m.content }}\n{%- endfor %}\n",
"alternating": "{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% set sys = messages[0]['content'] %}{% else %}{% set rest = messages %}{% set sys = false %}{% endif %}{% for m in rest %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must take turns.') }}{% endif %}{% if loop.first and sys != false %}{% set text = '(' + sys + ')\\n' + m['content'] %}{% else %}{% set text = m['content'] %}{% endif %}{% if m['role'] == 'user' %}{{ bos_token + '[Q] ' + text.strip() + ' [/Q]' }}{% elif m['role'] == 'assistant' %}{{ ' ' + text.strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
"namespace": "{% set ns = namespace(n=0, last='') %}{% for m in messages %}{% if m.role == 'user' %}{% set ns.n = ns.n + 1 %}{% set ns.last = m.content %}{% endif %}{% endfor %}{{ ns.n }} questions, last {{ ns.last | tojson }}{% for m in messages[::-1] %} <{{ m.role[0] }}{{ loop.revindex0 }}>{% endfor %}",
"macro": "{% macro turn(m, mark='#', end='.') -%}\n  {{ mark }} {{ m.role | title }}: {{ caller_text | default('') }}{{ m.content | replace('\\n', ' / ') }}{{ end }}\n{%- endmacro %}{% for m in messages %}{{ turn(m) }}|{{ turn(m, end='!') }}\n{% endfor %}",
"block set": "{% set head %}  {{ bos_token }}[{{ messages | length }}]\n{% endset %}{% set low | lower | trim %} ABC {% endset %}{{ head }}{{ low }}{# not shown #}\n{% for m in messages -%}\n {{ m.content | trim }}\n{%- if not loop.last %};{% endif %}\n{% endfor %}\nend",
"white space": "  {% if true %}\n   a\n  {%- if true -%}\n   b\n  {% endif +%}\n\tc {% endif %}  \n {#- x -#}  d {{- ' e ' -}} \n f\n{%+ if true %}g{% endif %}\n\n",
"think": "{% for m in messages %}{% if m.role == 'assistant' and '</think>' in m.content %}{% set c = m.content.split('</think>')[-1].lstrip('\\n') %}{% set r = m.content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}{{ m.role }}[{{ r }}]{{ c }}{% else %}{{ m.role ~ ':' ~ m.content }}{% endif %}{% endfor %}{% if add_generation_prompt %}<think>\n{% endif %}",
"lists": "{% set roles = messages | map(attribute='role') | list %}{{ roles }} {{ roles | join(', ') }} {{ roles | unique | list | length }} {{ messages | selectattr('role', 'equalto', 'user') | list | length }} {{ messages | rejectattr('role', 'in', ['user', 'system']) | map(attribute='content') | list | tojson }} {{ (messages | last).role }} {{ (messages | first).role }}",
"types": "{{ tools is none }} {{ tools is defined }} {{ nothing is defined }} {{ messages is iterable }} {{ messages is string }} {{ messages[0] is mapping }} {{ 3 is odd }} {{ none is none }} {{ 1.0 }} {{ 7 // 2 }} {{ -7 % 3 }} {{ 2 ** 5 }} {{ 1 / 4 }} {{ 'a' * 3 }} {{ [1, 'x', none, true, {'k': 1.5}] }} {{ not 0 }} {{ 1 < 2 < 3 }} {{ 'a' if false }}|",
"json": "{% set d = {'name': 'naïve', 'list': [1, 2.5, none, true], 'deep': {'q': '\"\\\\'}} %}{{ d | tojson }}\n{{ d | tojson(indent=2) }}\n{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{{ d.get('no', 'none') }}{{ d['name'][1:3] }}{{ d | length }}",
"loop": "{% for m in messages %}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ loop.previtem.role if not loop.first else '-' }}{{ loop.nextitem.role if loop.nextitem is defined }}{{ loop.cycle('a', 'b') }} {% else %}none{% endfor %}{% for i in range(10) %}{% if i == 2 %}{% continue %}{% endif %}{% if i > 4 %}{% break %}{% endif %}{{ i }}{% endfor %}{% for a, b in [[1, 2], [3, 4]] %}{{ a * b }},{% endfor %}",
"scope": "{% set x = 1 %}{% for m in messages %}{% set x = x + 1 %}{{ x }}{% endfor %}{{ x }}{% if true %}{% set x = 9 %}{% endif %}{{ x }}",
"text": "{% set s = '  Ünder the É\\u0301 \\n' %}[{{ s.strip() }}][{{ s | trim | length }}][{{ s.lstrip() }}][{{ 'a--b--c'.split('--', 1) }}][{{ 'x y  z'.split() }}][{{ 'abc'.startswith(('x', 'ab')) }}{{ 'abc'.endswith('bc') }}][{{ 'hello wORLD'.title() }}{{ 'hELLO'.capitalize() }}][{{ 'aXbX'.replace('X', '-', 1) }}][{{ \"it's\" }}{{ ['it\\'s', 'a\"b'] }}][{{ 'abcdef'[-3:-1] }}{{ 'abcdef'[::-2] }}]",
"generation": "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{{ eos_token }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}",
"date": "{{ strftime_now('%d %b %Y') }} {{ strftime_now('%A, %B %-d, %H:%M') }}{% if not date_string is defined %}{% set date_string = '1 Jan' %}{% endif %} {{ date_string }}",
"raw": "{% raw %}{{ not }} {% if %}{% endraw %}{{ '{{' }}{{ '%}' }} {{ {'a': {'b': 1}}.a.b }}",
}
S = {"role": "system", "content": " Short.\n"}
U, A = {"role": "user", "content": "What is é\u0301 <b>?  "}, {"role": "assistant", "content": "<think>\nhm\n</think>\n\nA 🙂\nline"}
V = {"role": "user", "content": "又问"}
CONVERSATIONS = [[U], [S, U, A], [U, A, V], [A, U], []]
cases = []
for name, template in T.items():
    for messages in CONVERSATIONS:
        for prompt in (True, False):
            case = {"name": name, "messages": messages, "prompt": prompt}
            try:
                case["text"] = utils.render_jinja_template([messages], chat_template=template, add_generation_prompt=prompt, bos_token="<s>", eos_token="</s>")[0][0]
            except Exception as error:
                print(name, len(messages), error)
            cases.append(case)
target = pathlib.Path(__file__).parents[2] / "Tests/Goldens/chat_templates.json"
target.write_text(json.dumps({"templates": T, "cases": cases}, ensure_ascii=False, indent=1) + "\n")
