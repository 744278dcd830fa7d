#!/usr/bin/env python3
"""Writes expressions.json: what ComfyUI's math node makes of expressions, and the exceptions that it raises.

    cd ComfyUI && python …/make_expressions.py > …/expressions.json
"""
import json, sys, warnings
sys.path.insert(0, ".")
sys.argv = sys.argv[:1]
import comfy.options
sys.argv += ["--cpu"]
comfy.options.enable_args_parsing()
warnings.simplefilter("ignore")
from comfy_extras.nodes_math import MathExpressionNode
VALUES = {"a": 7, "b": 2.5, "c": True, "d": -3, "e": 1000}
TEXTS = r'''
a + b; a - d; a*b; a/d; a//d; a%d; -a//2; b//d; b%d; a**2; a**-1; d**2; 2**0.5; (-8)**(1/3); -2**2; 2**3**2
pow(a,3) % 7 ;; 1@ a.real; a.imag; b.real; b.imag; c.real; a.numerator; a.denominator; b.numerator; a.foo; a._x; a.__class__; a.func_x; a.format; values.format; a.mro
a is None; a is not None; None is None; None; a is a; b is b; 1 is 1; 1000 is 1000; e is 1000; e is e; c is True; a in values; 8 in values; a not in values; 1 in a; 'a' in 'abc'; 1 in 'a'
a.bit_length(); b.is_integer(); (5.0).is_integer(); a.conjugate(); a.bit_count(); a.as_integer_ratio()[0]; b.as_integer_ratio()[1]; a.real(); a.bit_length(1); c.bit_length(); values.index(7); values.index(99); values.count(1); values.copy()[0]
a.bit_length; abs; abs is abs; max.real; values[0]; values[-1]; values[9]; values[0:2]; sum(values[0:2]); sum(values[::-1]); sum(values[-2:]); sum(values[1::2]); values[::0]; values[b]; values[0,1]; values[:][1]; a[0]; values['x']
'abc'; 'abc' < 'abd'; 'a' + 'b' == 'ab'; 'a' * 3 == 'aaa'; int('12'); int(' 1_2 '); int('x'); int('ff', 16); int('ff', base=16); int(x=1); float('1.5'); float('nan'); float('x'); float(); int(); 'abc'[1] == 'b'; 'abc'[::-1] == 'cba'; 'a' - 'b'; 'a' + 1; 'a' * 'b'; not 'a'; 'a' and 2; '' or 3
round(b); round(2.567, 1); round(2.567, ndigits=2); round(number=2.5); round(1250, -2); round(b, None); round(b, x=1); max(a, b); min(values); max(values, key=abs); min(values, key=abs); max(values, default=1); max(1, 2, default=1); max(values, key=1); max([]); min(a); max(); sum(1,2,3); sum(values, start=1); sum(); sum('ab'); sum(a)
pow(2, 8); pow(base=2, exp=3); pow(2, 5000); pow(2); pow(5000000, 2); 5000000**2; pow(2, -2); pow(0, -1); pow(2.5, 2); sqrt(16); sqrt(-1); sqrt(x=1); log(0); log(8, 2); log(8, 1); log(8, -1); ceil(2.1); floor(-2.1); ceil('x'); abs(-b); abs('x'); abs(values)
[1, 2]; [1,2][0]; (1, 2); (); 1,; 1, 2; {1}; {1: 2}; {}; [x for x in values]; (x for x in values); sum(x for x in values); lambda: 1; lambda x, y=1: x; lambda 1: 2; (x := 1); x := 1; *values; (*values); (*values,); f(*values); max(*values); max(**values)
f(1); f; foo.bar; f(1 +; (lambda: 1)(); values[0](1); abs(-1)(2); (abs)(-1); 1(2); a(1); a @ b; a @= 2; a << 2; a >> 1; a & 3; a | 8; a ^ 1; ~a; b << 1; a << b; ~b; 1 << 20000; 1 << -1; -1 >> 5; c & False; c | 2; c ^ c; 2**2000 << 1; 10**400 > 1; 10**400 + 1.0
x = a + 1; x = y = 3; 1 = 2; a + 1 = 2; x += 5; x //= 5; x, y = 1; x: int = 3; x: int; a.b = 4; values[0] = 5; f(x) = 1; x + = 1; import os; from os import path; import; del a; pass; if a: 1; for x in values: x; while a: 1; return 1; assert a; raise a; global x; yield a; await a; (yield); async; class X: pass; def f(): pass; with a: 1; try: 1
f'{a}'; b'x'; 'a' 'b' == 'ab'; r'\n' == '\\n'; '\x41' == 'A'; '\u0041' == 'A'; '\q' == '\\q'; '\x4'; """x""" == 'x'; 'x; "x'; f"{a}" ; ...; ... is ...; 1j; 1j + 1; abs(a) if a else b; a if b; a if b else; not a; not not a; a not b; a and b; a or b; 0 or d; 1 < 2 < 3; 1 < 2 > 3; 1 == 1.0; a != b; a <> b; values < values; values == values; values < 1; values + values; (values + values)[5]; values * 2; (values * 2)[7]; 2 * values; values + 1; values - values; values * 100000; -values; None + 1; None < 1; None == None; c + c; -c; True; False; true
0123; 00; 0; 0x1F; 0b101; 0o17; 0xg; 1_000; 1__0; 1_; 1e3; 1.e3; .5; 5.; 1.2.3; 1e; 1e400; 1e308*10; 10**400; 5.real; 5 .real; 5..real; 1x; 1 2; 1 +; (1; 1); ); [; a b; a.1; a.; .a; a..b; a,b; $; a$; a ? b; a!; !a; ä; äa = 1; a # x; # x; a \; if; else; None = 1; True = 1; a.None; lambda; in; a is is b; a in in b; a is not not b
'''
SPECIAL = ["a\n b", "a\n+ b", "\n a", " a", "\n\n a + b ", "a\nb", "(a\n + b)", "a \\\n + b", "a\n\n\n# x\n  # y\nb", "a\n\tb", "1;", ";1", "1;;2", "a;b", "a; b +", "a; 1/0", "1/0; a", "x = 3; x", "\ta", "a\r\nb", "a\r\n b", "pow(a,3) % 7 ; 1", "\x0ca", "\u00a0a", "a\u00a0+ b",
           "[\n1,\n2]", "'a\nb'", "'''a\nb''' == 'a\\nb'", "", "  ", "#", "a if a else\\\n b"]
cases = []
texts = SPECIAL + [t.strip().replace("@@", ";") for line in TEXTS.strip().split("\n") for t in line.replace(";; 1@", "@@ 1;").split(";")]
for text in dict.fromkeys(texts):
    case = {"text": text}
    try:
        case["values"] = [repr(v) for v in MathExpressionNode.execute(text, dict(VALUES)).args]
    except BaseException as e:
        t = type(e)
        case["error"] = t.__qualname__ if t.__module__ == "builtins" else t.__module__ + "." + t.__qualname__
    cases.append(case)
print("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]")
