package formula_test

import (
	"errors"
	"math/big"
	"strings"
	"testing"

	"comfygo/internal/pyjson"
	"comfygo/nodes/logic/formula"
)

var names = map[string]any{"a": int64(7), "b": 2.5, "c": true, "n": -7, "values": []any{int64(7), 2.5, true}}

// The wanted values were computed with Python 3.12's eval and its math module.
func TestEval(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a + b": "9.5", "1/2": "0.5", "7//2": "3", "-7//2": "-4", "n % 3": "2", "7 % -3": "-2", "-7.5 // 2": "-4.0", "-7.5 % 2": "0.5",
		"2**10": "1024", "2**-1": "0.5", "-2**2": "-4", "2**3**2": "512", "(2**3)**2": "64", "2**0.5": "1.4142135623730951",
		"10**30": "1000000000000000000000000000000", "10**30 // 7": "142857142857142857142857142857", "10**30 % 7": "1",
		"1 < 2 < 3": "True", "1 < 2 > 3": "False", "a == 7.0": "True", "10**20 == 1e20": "True", "a != 7": "False", "2**53 + 1 == 2.0**53": "False",
		"a if c else b": "7", "a if a > 10 else b": "2.5", "not c": "False", "not not a": "True", "0 or 3": "3", "a and b": "2.5", "c + 1": "2",
		"1 << 10": "1024", "1024 >> 3": "128", "6 & 3": "2", "6 | 3": "7", "6 ^ 3": "5", "~6": "-7", "- -6": "6", "+c": "1",
		"values[0] + values[-1]": "8", "sum(values)": "10.5", "sum(1, 2, 3)": "6", "min(values)": "True", "max(3, 7, 5)": "7", "max(a, 7.0)": "7",
		"abs(-3)": "3", "abs(-2.5)": "2.5", "round(2.5)": "2", "round(3.5)": "4", "round(2.675, 2)": "2.67", "round(1234, -2)": "1200", "round(1250, -2)": "1200",
		"round(1350, -2)": "1400", "round(-1250, -2)": "-1200", "round(0.15, 1)": "0.1", "round(1234.5, -2)": "1200.0",
		"sqrt(16)": "4.0", "ceil(2.1)": "3", "floor(-2.1)": "-3", "int(-2.9)": "-2", "float(3)": "3.0", "log(8, 2)": "3.0", "log2(8)": "3.0", "log10(1000)": "3.0",
		"pow(2, 8)": "256", "pow(2, -2)": "0.25", "sin(0)": "0.0", "cos(0)": "1.0", "1_000 + 0x10 + 0b11": "1019", "1e3": "1000.0", ".5": "0.5", "5.": "5.0", "0": "0",
		"min(values[0:1])": "7", "'x'": "'x'", "values[::-1][0]": "True", "a;": "7", "a\nb": "7", "x = a + 1": "8", "None": "", "'ab'[1]": "'b'",
		" ( a )\n": "7", "True + True": "2", "values == values": "True", "min(1, 2,)": "1", "10**400 > 1e308": "True", "1e308*10": "inf",
	} {
		got, err := formula.Eval(text, names)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if n, ok := got.(*big.Int); ok {
			if n.String() != want {
				t.Errorf("%s = %s, want %s", text, n, want)
			}
		} else if want == "" {
			continue
		} else if r := pyjson.Repr(got); r != want {
			t.Errorf("%s = %s, want %s", text, r, want)
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for text, kind := range map[string]string{
		"1/0": "ZeroDivisionError", "1//0": "ZeroDivisionError", "1.0 % 0": "ZeroDivisionError", "0**-1": "ZeroDivisionError", "1/0.0": "ZeroDivisionError",
		"x": "NameNotDefined", "open(1)": "FunctionNotDefined", "sqrt(-1)": "ValueError", "log(0)": "ValueError", "(-8)**0.5": "ValueError",
		"9**9**9": "NumberTooHigh", "5000000**2": "NumberTooHigh", "pow(2, 5000)": "ValueError", "1 << 20000": "NumberTooHigh", "1 << -1": "ValueError",
		"3999999**3999999": "NumberTooHigh", "values[3]": "IndexError", "a[0]": "TypeError", "values[b]": "TypeError", "values + 1": "TypeError", "values < 1": "TypeError",
		"~b": "TypeError", "1.5 | 2": "TypeError", "-values": "TypeError", "float(10**400)": "OverflowError", "10**400/3": "OverflowError", "int(1e308*10)": "OverflowError",
		"int(1e308*10 - 1e308*10)": "ValueError", "": "InvalidExpression", "1 +": "", "1 2": "", "(1": "", "a.b": "AttributeDoesNotExist", "'x": "", "1 if 2": "", "0123": "", "1x": "",
		"sqrt()": "TypeError", "sqrt(1, 2)": "TypeError", "round(1.5, b)": "TypeError", "max(values, 1)": "TypeError", "max(5)": "TypeError", "min()": "TypeError", "f(": "", "min(,)": "", "lambda: 1": "FeatureNotAvailable", "a @ b": "OperatorNotDefined", "'a' * 200000": "IterableTooLong", "values * 50000": "IterableTooLong", "not": "",
		"a := 1": "", strings.Repeat("(", 1000) + "1" + strings.Repeat(")", 1000): "", strings.Repeat("-", 1000) + "1": "", strings.Repeat("1+", 40000) + "1": "",
	} {
		_, err := formula.Eval(text, names)
		var raised *formula.Error
		switch {
		case err == nil:
			t.Errorf("%.40s: no error", text)
		case kind == "" && !errors.Is(err, formula.ErrSyntax):
			t.Errorf("%.40s: %v is no syntax error", text, err)
		case kind != "" && (!errors.As(err, &raised) || raised.Kind != kind):
			t.Errorf("%.40s: %v, want %s", text, err, kind)
		}
	}
}

// FuzzEval looks for expressions that panic or take long.
func FuzzEval(f *testing.F) {
	for _, s := range []string{"a + b", "sum(values)", "1 if c else 2**3", "round(b, 1) // ~a", "((1))[0]", "0x1f << 3", "1e400", "min(a, b)%0", "values[1:][::-1]", "x = 'a\\x41' * 2", "{a: b for c in d}", "lambda x, *y: (yield)", "a.real;b\n c", "0<''"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := formula.Eval(text, names)
		if (v == nil) == (err == nil) {
			t.Errorf("%q: %v with error %v", text, v, err)
		}
	})
}
