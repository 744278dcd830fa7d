package queue

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// sample returns a value of a type that is not zero.
func sample(t *testing.T, typ reflect.Type) reflect.Value {
	t.Helper()
	v := reflect.New(typ).Elem()
	switch typ.Kind() { //nolint:exhaustive // the others are told
	case reflect.String:
		v.SetString("abc-1")
	case reflect.Int, reflect.Int64:
		v.SetInt(-7)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(12)
	case reflect.Uint8:
		v.SetUint(3)
	case reflect.Slice:
		one := sample(t, typ.Elem())
		v = reflect.Append(v, one, one)
	case reflect.Map:
		v = reflect.MakeMap(typ)
		v.SetMapIndex(sample(t, typ.Key()), sample(t, typ.Elem()))
	case reflect.Pointer:
		v = reflect.New(typ.Elem())
		v.Elem().Set(sample(t, typ.Elem()))
	case reflect.Struct:
		if typ == reflect.TypeFor[time.Time]() {
			return reflect.ValueOf(time.Unix(1700000000, 0).UTC())
		}
		for i := range typ.NumField() {
			if f := typ.Field(i); f.IsExported() && f.Tag.Get("json") != "-" {
				v.Field(i).Set(sample(t, f.Type))
			}
		}
	default:
		t.Fatalf("no sample of %s", typ)
	}
	return v
}

// checkHead compares the head of an entry, and what is read from it, with those of encoding/json.
func checkHead(t *testing.T, e *entry) {
	t.Helper()
	want, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	got, err := e.marshalHead()
	if err != nil {
		t.Fatal(err)
	}
	if string(got[4:]) != string(want) {
		t.Errorf("head\n%s\nencoding/json writes\n%s", got[4:], want)
	}
	var plain entry
	if err := json.Unmarshal(want, &plain); err != nil {
		t.Fatal(err)
	}
	read, err := unmarshalHead(want)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(read, &plain) {
		t.Errorf("of %s\n%+v was read, by encoding/json\n%+v", want, read, &plain)
	}
}

// TestHead sets each field that an entry has, alone and beside all others, so a new field cannot be forgotten.
func TestHead(t *testing.T) {
	typ := reflect.TypeFor[entry]()
	all := entry{Version: Protocol, Type: entryPut}
	for i := range typ.NumField() {
		f := typ.Field(i)
		if !f.IsExported() || f.Tag.Get("json") == "-" {
			continue
		}
		e := entry{Version: Protocol, Type: entryPut}
		reflect.ValueOf(&e).Elem().Field(i).Set(sample(t, f.Type))
		reflect.ValueOf(&all).Elem().Field(i).Set(sample(t, f.Type))
		checkHead(t, &e)
		checkHead(t, &all)
	}
}

// TestHeadValues has the values that need encoding/json, or nearly.
func TestHeadValues(t *testing.T) {
	for _, s := range []string{"", "a b", "ä", `q"q`, `b\b`, "<&>", "\n", "\x7f", "\u2028", "\xff"} {
		checkHead(t, &entry{Version: 1, Type: entryEnd, ID: s, Resident: []string{s, "x"}, Needs: Needs{Models: []string{s}}})
	}
	for _, f := range []float64{0, -0.5, 1e15, 1 << 53, 1e21, -1e300, 1e-9, -3} {
		checkHead(t, &entry{Version: 1, Type: messageRun, Number: Number{Value: f}})
		checkHead(t, &entry{Version: 1, Type: messageRun, Number: Number{Value: f, Float: true}})
	}
	for _, n := range []int64{1, -1, 1<<63 - 1, -1 << 63, 999999999999999999, 1000000000000000000} {
		checkHead(t, &entry{Version: 1, Type: entryBatch, Requests: []int64{n, 2}, Free: n, Until: n})
	}
	checkHead(t, &entry{Version: 1, Type: entryPut, Needs: Needs{Classes: []string{}}, Options: Options{Labels: []string{}}, Resident: []string{}})
}

// TestHeadForeign reads heads that other programs may write, and refuses what is no JSON.
func TestHeadForeign(t *testing.T) {
	for _, s := range []string{
		`{"v":1,"type":"end","unknown":{"a":[1]}}`, ` {"v": 1, "type": "end"} `, `{"V":1,"type":"end"}`, `{"v":1,"type":null}`, `{}`, `{"v":1,"v":2}`,
		`{"v":1,"type":"\u0065nd"}`, `{"requests":[]}`, `{"needs":{}}`, `{"needs":null,"number":{}}`, `{"number":{"Value":1.5}}`, `{"until":-0}`,
	} {
		var plain entry
		if err := json.Unmarshal([]byte(s), &plain); err != nil {
			t.Fatal(err)
		}
		if read, err := unmarshalHead([]byte(s)); err != nil || !reflect.DeepEqual(read, &plain) {
			t.Errorf("of %s %+v was read (%v), by encoding/json %+v", s, read, err, &plain)
		}
	}
	whole := `{"v":1,"type":"end","on":true,"seq":12,"resident":["a"],"number":{"Value":1,"Float":false}}`
	for n := range len(whole) {
		if _, err := unmarshalHead([]byte(whole[:n])); err == nil || !strings.Contains(err.Error(), "reading an entry") {
			t.Errorf("%q: error %v", whole[:n], err)
		}
	}
	for _, s := range []string{whole + "x", `{"v":01}`, `{"v":1,}`, `{"v":"1"}`, `{"on":tru}`, `{"v":1.5}`} {
		if _, err := unmarshalHead([]byte(s)); err == nil {
			t.Errorf("%s was read", s)
		}
	}
}
