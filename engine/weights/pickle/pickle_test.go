package pickle_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"comfygo/engine/weights/pickle"
)

// show prints a value in a short form with its types.
func show(v any) string {
	switch v := v.(type) {
	case *pickle.List:
		return "[" + join(v.Items) + "]"
	case pickle.Tuple:
		return "(" + join(v) + ")"
	case *pickle.Dict:
		var parts []string
		for i := range v.Keys {
			parts = append(parts, show(v.Keys[i])+": "+show(v.Values[i]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case *pickle.Object:
		return "<" + v.Class.String() + ">"
	case string:
		return fmt.Sprintf("%q", v)
	}
	return fmt.Sprint(v)
}

func join(items []any) string {
	parts := make([]string, len(items))
	for i, v := range items {
		parts[i] = show(v)
	}
	return strings.Join(parts, ", ")
}

var config = pickle.Config{
	Find: func(module, name string) (*pickle.Global, error) {
		g := &pickle.Global{Module: module, Name: name}
		switch g.String() {
		case "m.echo":
			g.Call = func(args pickle.Tuple) (any, error) { return args, nil }
		case "m.fail":
			g.Call = func(pickle.Tuple) (any, error) { return nil, errors.New("failed") }
		case "m.Class":
		default:
			return nil, fmt.Errorf("no %v", g)
		}
		return g, nil
	},
	Persistent: func(id any) (any, error) { return pickle.Tuple{"ref", id}, nil },
}

// TestLoad runs pickles of all protocols; most were written by Python's pickle.dumps(VALUE, PROTOCOL).
func TestLoad(t *testing.T) {
	t.Parallel()
	for pkl, want := range map[string]string{
		"N.": "<nil>", "\x88.": "true", "\x89.": "false", "I00\n.": "false", "I01\n.": "true", "I-7\n.": "-7", "L70000000000L\n.": "70000000000",
		"K\xff.": "255", "M\xff\xff.": "65535", "J\xff\xff\xff\xff.": "-1", "\x8a\x00.": "0", "\x8a\x01\x80.": "-128", "\x8a\x02\x80\x00.": "128",
		"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01.": "18446744073709551616", "\x8b\x01\x00\x00\x00\x05.": "5",
		"F1.5\n.": "1.5", "G?\xf8\x00\x00\x00\x00\x00\x00.": "1.5",
		"S'a'\n.": `"a"`, "S\"b\"\n.": `"b"`, "Va b\n.": `"a b"`, "U\x01a.": `"a"`, "T\x01\x00\x00\x00a.": `"a"`, "X\x02\x00\x00\x00\xc3\xa9.": `"é"`, "\x8c\x01x.": `"x"`,
		"\x8d\x01\x00\x00\x00\x00\x00\x00\x00x.": `"x"`, "C\x02ab.": "[97 98]", "B\x01\x00\x00\x00a.": "[97]", "\x8e\x01\x00\x00\x00\x00\x00\x00\x00a.": "[97]",
		").": "()", "K\x01\x85.": "(1)", "K\x01K\x02\x86.": "(1, 2)", "K\x01K\x02K\x03\x87.": "(1, 2, 3)", "(K\x01K\x02t.": "(1, 2)",
		"].": "[]", "]K\x01a.": "[1]", "](K\x01K\x02e.": "[1, 2]", "(K\x01l.": "[1]", "\x8f(K\x01\x90.": "[1]", "(K\x01\x91.": "[1]",
		"}.": "{}", "}U\x01aK\x01s.": `{"a": 1}`, "}(U\x01aK\x01U\x01aK\x02u.": `{"a": 2}`, "(U\x01aK\x01d.": `{"a": 1}`, "}K\x05Ns.": "{5: <nil>}", "})Ns)Ns.": "{(): <nil>, (): <nil>}",
		"]q\x00h\x00K\x01a\x86.": "([1], [1])",
		"K\x012\x86.":            "(1, 1)", "K\x01K\x020.": "1", "K\x01(0.": "1", "K\x01(K\x02K\x031.": "1",
		"]q\x07K\x01ah\x07\x86.": "([1], [1])", "]r\x00\x01\x00\x00j\x00\x01\x00\x00\x86.": "([], [])", "]p3\ng3\n\x86.": "([], [])", "\x80\x04\x95\x04\x00\x00\x00\x00\x00\x00\x00]\x94h\x00\x86.": "([], [])",
		"cm\necho\n(K\x01tR.": "(1)", "cm\necho\nK\x01\x85\x81.": "(1)", "(K\x01im\necho\n.": "(1)", "(cm\necho\nK\x01o.": "(1)", "U\x01mU\x04echo\x93)R.": "()",
		"cm\nClass\n)\x81}U\x01aK\x01sb.": "<m.Class>", "cm\nClass\n)R(K\x01e(K\x01K\x02u.": "<m.Class>", "cm\nClass\n.": "m.Class",
		"K\x05Q.": `("ref", 5)`, "Pid\n.": `("ref", "id")`,
	} {
		v, n, err := pickle.Load([]byte(pkl+"tail"), config)
		if err != nil || show(v) != want || n != len(pkl) {
			t.Errorf("%q is %s of %d bytes (%v), want %s of %d", pkl, show(v), n, err, want, len(pkl))
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	for pkl, want := range map[string]string{
		"cm\nother\n.": "no m.other", "cm\nfail\n)R.": "m.fail: failed", "K\x01)R.": "calling the integer 1", "cm\necho\nNR.": "None instead of a tuple",
		"K\x01U\x01a\x93.": "no name", "(o.": "constructing nothing", "S'a\\n'\n.": "escapes", "Sabc\n.": "quotes", "S'\n.": "quotes", "I1": "data ends", "Ix\n.": "integer",
		"F1,5\n.": "syntax", "gx\n.": "memo index", "X\x01\x00\x00\x00\xff.": "UTF-8", "\x80\x06N.": "protocol 6", "c": "data ends", "cm\n": "data ends", "G123": "data ends",
		"0.": "stack is empty", "2.": "stack is empty", "b.": "stack is empty", "q\x00.": "stack is empty", "1.": "no mark", "NK\x01a.": "filling None", ")(e.": "filling a tuple",
		"\x97.": "not known", "\x98.": "not known", "\x82\x01.": "not known", "\x00.": "not known",
	} {
		if v, _, err := pickle.Load([]byte(pkl), config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %s, %v; want an error with %q", pkl, show(v), err, want)
		}
	}
	for _, pkl := range []string{"cos\nsystem\n.", "K\x01Q."} {
		if _, _, err := pickle.Load([]byte(pkl), pickle.Config{}); err == nil {
			t.Errorf("%q: accepted without a table", pkl)
		}
	}
}

func TestDict(t *testing.T) {
	t.Parallel()
	var d pickle.Dict
	d.Set("a", 1)
	d.Set(int64(1), 2)
	d.Set("a", 3)
	if v, ok := d.Get("a"); !ok || v != 3 || d.Len() != 2 {
		t.Errorf("a is %v of %d", v, d.Len())
	}
	if _, ok := d.Get("b"); ok {
		t.Error("b was found")
	}
}
