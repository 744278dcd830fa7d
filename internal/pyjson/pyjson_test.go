package pyjson_test

import (
	"encoding/json"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"comfygo/internal/pyjson"
)

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"b":1,"a":[1.0,2.5,-0.0],"c":{"z":null}}`: `{"b": 1, "a": [1.0, 2.5, -0.0], "c": {"z": null}}`,
		`18446744073709551615`:                      `18446744073709551615`,
		`100000000000000000000000000000`:            `100000000000000000000000000000`,
		`[NaN, Infinity, -Infinity]`:                `[NaN, Infinity, -Infinity]`,
		`1e5`:                                       `100000.0`,
		`1e16`:                                      `1e+16`,
		`0.00001`:                                   `1e-05`,
		`1e400`:                                     `Infinity`,
		`"\u00e4\ud83d\ude00\n\u0001/"`:             `"\u00e4\ud83d\ude00\n\u0001/"`,
		`"ä😀"`:                                      `"\u00e4\ud83d\ude00"`,
		`{"a":1,"a":2}`:                             `{"a": 2}`,
		" [ ] ":                                     `[]`,
		`{}`:                                        `{}`,
	} {
		v, err := pyjson.Unmarshal([]byte(in))
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		got, err := pyjson.Marshal(v)
		if err != nil || string(got) != want {
			t.Errorf("%s: have %s (%v), want %s", in, got, err, want)
		}
	}
}

func TestWrongTextIsAnError(t *testing.T) {
	t.Parallel()
	for _, in := range []string{``, `{`, `[1,]`, `{"a"}`, `{"a":}`, `{a:1}`, `01`, `1.`, `-`, `"`, "\"\n\"", `"\x"`, `"\u12"`, `nul`, `[1] 2`, `{"a":1,}`, `+1`, strings.Repeat("[", 2000)} {
		if v, err := pyjson.Unmarshal([]byte(in)); err == nil {
			t.Errorf("%q gave %v", in, v)
		}
	}
}

func TestGoValues(t *testing.T) {
	t.Parallel()
	type name string
	for _, c := range []struct {
		v    any
		want string
	}{
		{[]string{"a"}, `["a"]`},
		{map[string]int{"b": 1, "a": 2}, `{"a": 2, "b": 1}`},
		{name("x"), `"x"`},
		{uint8(7), `7`},
		{float32(0.5), `0.5`},
		{[2]bool{true, false}, `[true, false]`},
		{(*int)(nil), `null`},
		{pyjson.Raw(`[1]`), `[1]`},
		{[]any(nil), `[]`},
		{(*pyjson.Object)(nil), `null`},
	} {
		got, err := pyjson.Marshal(c.v)
		if err != nil || string(got) != c.want {
			t.Errorf("%v: have %s (%v), want %s", c.v, got, err, c.want)
		}
	}
	if _, err := pyjson.Marshal(pyjson.NewObject("f", func() {})); err == nil || !strings.Contains(err.Error(), "f:") {
		t.Errorf("a function has a form: %v", err)
	}
}

func TestRepr(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		v    any
		want string
	}{
		{[]any{"a", int64(1), 1.0, nil, true}, `['a', 1, 1.0, None, True]`},
		{"it's", `"it's"`},
		{`it's "so"`, `'it\'s "so"'`},
		{"a\nb\\", `'a\nb\\'`},
		{"ä\u200b\x01", `'ä\u200b\x01'`},
		{pyjson.Tuple{int64(1)}, `(1,)`},
		{pyjson.Tuple{int64(1), "b"}, `(1, 'b')`},
		{pyjson.NewObject("k", []any{}), `{'k': []}`},
		{math.NaN(), `nan`},
		{math.Inf(-1), `-inf`},
		{1e22, `1e+22`},
		{big.NewInt(5), `5`},
		{[]int{1, 2}, `[1, 2]`},
	} {
		if got := pyjson.Repr(c.v); got != c.want {
			t.Errorf("have %s, want %s", got, c.want)
		}
	}
	if got := pyjson.Str("plain"); got != "plain" {
		t.Errorf("have %s", got)
	}
}

func TestParseFloat(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{
		"1": 1, " -2.5e3 ": -2500, "1_0.5": 10.5, ".5": .5, "5.": 5, "+inf": math.Inf(1), "-Infinity": math.Inf(-1), "1e999": math.Inf(1), "\uff11\uff12.\u0665": 12.5, "\U0001d7d9": 1,
	} {
		if f, ok := pyjson.ParseFloat(text); !ok || f != want {
			t.Errorf("%q: %v, %v", text, f, ok)
		}
	}
	for _, text := range []string{"", " ", "x", "0x10", "1_", "_1", "1__0", "1p3", "1,5", "--1", "\u4e94", "1 2"} {
		if f, ok := pyjson.ParseFloat(text); ok {
			t.Errorf("%q: %v", text, f)
		}
	}
	if f, ok := pyjson.ParseFloat("NaN"); !ok || f == f {
		t.Errorf("NaN: %v, %v", f, ok)
	}
	if n, ok := pyjson.ParseInt("-\u0967\uff12"); !ok || n != int64(-12) {
		t.Errorf("digits of other scripts: %v, %v", n, ok)
	}
}

func TestParseInt(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"8": "8", " -8 ": "-8", "1_0": "10", "+3": "3", "99999999999999999999": "99999999999999999999"} {
		if v, ok := pyjson.ParseInt(in); !ok || pyjson.Repr(v) != want {
			t.Errorf("%q: have %v", in, v)
		}
	}
	for _, in := range []string{"", "8.5", "1e1", "_1", "1_", "1__0", "--1", "0x10", "abc"} {
		if v, ok := pyjson.ParseInt(in); ok {
			t.Errorf("%q gave %v", in, v)
		}
	}
}

func TestObject(t *testing.T) {
	t.Parallel()
	o := pyjson.NewObject()
	for i := range 30 {
		o.Set(string(rune('a'+i)), i)
	}
	o.Set("c", "new")
	for _, k := range []string{"a", "d", "nope"} {
		o.Delete(k)
	}
	if o.Len() != 28 || o.Keys()[0] != "b" || o.Keys()[1] != "c" || o.String("c") != "new" || o.Has("a") {
		t.Errorf("have %v", o.Keys())
	}
	if v, ok := o.Get("e"); !ok || v != 4 {
		t.Errorf("e is %v", v)
	}
	for o.Len() > 3 {
		o.Delete(o.Keys()[0])
	}
	if !slices.Equal(o.Keys(), []string{"|", "}", "~"}) {
		t.Errorf("have %v", o.Keys())
	}
	inner := pyjson.NewObject("l", []any{pyjson.NewObject("x", 1)})
	c := inner.Clone()
	l, _ := c.Get("l")
	l.([]any)[0].(*pyjson.Object).Set("x", 2)
	if text, _ := pyjson.Marshal(inner); string(text) != `{"l": [{"x": 1}]}` {
		t.Errorf("the clone shares with its origin: %s", text)
	}
	var none *pyjson.Object
	if none.Len() != 0 || none.Has("x") || none.Object("x") != nil || none.Clone() != nil {
		t.Error("a nil object is not empty")
	}
}

func TestIndent(t *testing.T) {
	t.Parallel()
	v, err := pyjson.Unmarshal([]byte(`{"ä":[1,{}],"b":{}, "c":"\"\u0001"}`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := pyjson.Indent(v, 2)
	want := "{\n  \"ä\": [\n    1,\n    {}\n  ],\n  \"b\": {},\n  \"c\": \"\\\"\\u0001\"\n}"
	if err != nil || string(got) != want {
		t.Errorf("have %s (%v)", got, err)
	}
	got, err = pyjson.IndentASCII(pyjson.NewObject("ä", []any{math.NaN(), "\x7f"}), 4)
	if want = "{\n    \"\\u00e4\": [\n        NaN,\n        \"\\u007f\"\n    ]\n}"; err != nil || string(got) != want {
		t.Errorf("in ASCII: %s (%v)", got, err)
	}
}

// FuzzUnmarshal decodes arbitrary input: it must not panic, a decoded value must survive encoding and decoding, and input that
// encoding/json accepts must be accepted, too.
func FuzzUnmarshal(f *testing.F) {
	for _, s := range []string{`{"1":{"class_type":"X","inputs":{"a":["2",0],"s":1e3}}}`, `[NaN,-Infinity,"\ud800"]`, `"\u00"`, "\xff", `{"a":1,"a":2}`, `-0.0e-1`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := pyjson.Unmarshal(data)
		if err != nil {
			if json.Valid(data) && len(data) < 1000 {
				t.Fatalf("valid text refused: %v", err)
			}
			return
		}
		once, err := pyjson.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		again, err := pyjson.Unmarshal(once)
		if err != nil {
			t.Fatalf("%s: %v", once, err)
		}
		twice, err := pyjson.Marshal(again)
		if err != nil || string(once) != string(twice) {
			t.Fatalf("%s became %s (%v)", once, twice, err)
		}
		_ = pyjson.Repr(v)
	})
}
