package logic_test

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/nodes/logic"
)

func TestMathExpression(t *testing.T) {
	t.Parallel()
	given := nodes.Grown{Names: []string{"a", "b"}, Values: []any{int64(7), 2.5}}
	for text, want := range map[string]string{
		"a + b": "[9.5, 9, True]", "a - a": "[0.0, 0, False]", "sum(values)": "[9.5, 9, True]", "a > b": "[1.0, 1, True]", "-a / 2": "[-3.5, -3, True]",
		"2**70": "[1.1805916207174113e+21, 1180591620717411303424, True]", "0.5": "[0.5, 0, True]",
	} {
		r, err := (&logic.MathExpression{Expression: text, Values: given}).Run(nodes.TestContext(t.Context(), nodes.Services{}))
		if got := pyjson.Repr(r.Values); err != nil || got != want {
			t.Errorf("%s = %s (%v), want %s", text, got, err, want)
		}
	}
	for text, kind := range map[string]string{
		"": "ValueError", "  ": "ValueError", "1/0": "ZeroDivisionError", "values": "ValueError", "1e308*10": "ValueError", "10**400": "ValueError", "a +": "SyntaxError",
		"c": "simpleeval.NameNotDefined", "f(1)": "simpleeval.FunctionNotDefined", "9**9**9": "simpleeval.NumberTooHigh", "a @ b": "simpleeval.OperatorNotDefined",
	} {
		_, err := (&logic.MathExpression{Expression: text, Values: given}).Run(nodes.TestContext(t.Context(), nodes.Services{}))
		if err == nil || nodes.ExceptionType(err) != kind {
			t.Errorf("%q: %v (%s), want %s", text, err, nodes.ExceptionType(err), kind)
		}
	}
}

// unlike are expressions with results that differ from the reference's, with the reason. Errors are errors there, too, of other
// classes.
var unlike = map[string]string{
	"f'{a}'": "texts that are made of values are not offered", `f"{a}"`: "texts that are made of values are not offered", "b'x'": "bytes are not offered",
}

// TestExpressionsEqualUpstream compares with what ComfyUI's node makes of the expressions in testdata/expressions.json.
func TestExpressionsEqualUpstream(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/expressions.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Text   string
		Values []string
		Error  string
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	given := nodes.Grown{Names: []string{"a", "b", "c", "d", "e"}, Values: []any{int64(7), 2.5, true, int64(-3), int64(1000)}}
	for _, c := range cases {
		r, err := (&logic.MathExpression{Expression: c.Text, Values: given}).Run(nodes.TestContext(t.Context(), nodes.Services{}))
		var got []string
		for _, v := range r.Values {
			got = append(got, pyjson.Repr(v))
		}
		kind := ""
		if err != nil {
			kind = nodes.ExceptionType(err)
		}
		if same := slices.Equal(got, c.Values) && kind == c.Error; same != (unlike[c.Text] == "") {
			t.Errorf("%q: %v %s (%v), want %v %s", c.Text, got, kind, err, c.Values, c.Error)
		}
	}
}
