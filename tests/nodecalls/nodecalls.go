// Package nodecalls makes recorded calls of node classes again and compares the results with what ComfyUI's classes gave.
//
// record.py records them; a package of nodes keeps its calls in testdata, with the cases.py that lists them.
package nodecalls

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"comfygo/folders"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// Options define how the calls of a file are compared.
type Options struct {
	// Described turns values that are Go structs into what record.py's DESCRIBE makes of upstream's.
	Described func(v any) (any, bool)
	// Folders are the folders that the classes see; nil means empty ones.
	Folders *folders.Folders
	// Makers make values of recipes that cases.py adds to those of record.py, by their kind. value makes a value within.
	Makers map[string]func(recipe *pyjson.Object, value func(v any) any) any
	// Most, when positive, is the number of calls of each class that are made, the first ones.
	Most int
}

// Run makes all calls of a file, testdata/NAME, in subtests, and fails when a class has fewer than two calls that succeed.
func Run(t *testing.T, name string, o Options) {
	t.Helper()
	calls := load(t, name)
	succeeded, made := map[string]int{}, map[string]int{}
	for i, c := range calls {
		class := c.String("class")
		if made[class]++; o.Most > 0 && made[class] > o.Most {
			continue
		}
		if !c.Has("error") {
			succeeded[class]++
		} else if _, ok := succeeded[class]; !ok {
			succeeded[class] = 0
		}
		t.Run(fmt.Sprintf("%d_%s", i, class), func(t *testing.T) {
			t.Parallel()
			check(t, c, o)
		})
	}
	for class, n := range succeeded {
		if n < 2 {
			t.Errorf("%s has %d recorded results, want 2 at least", class, n)
		}
	}
}

func load(t *testing.T, name string) []*pyjson.Object {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	v, err := pyjson.Unmarshal(data)
	if err != nil {
		t.Fatal(err)
	}
	var out []*pyjson.Object
	for _, c := range v.([]any) {
		out = append(out, c.(*pyjson.Object))
	}
	return out
}

func check(t *testing.T, c *pyjson.Object, o Options) {
	t.Helper()
	class := c.String("class")
	what := class + " " + shortened(pyjson.Repr(mustGet(c, "in")))
	var base string
	var hidden func(string) any
	if c.Has("given") { // recorded by saves
		base = t.TempDir()
		var err error
		if o.Folders, err = folders.New(folders.Config{Base: base}); err != nil {
			t.Fatal(err)
		}
		hidden = prepare(t, base, c)
		for _, b := range mustGet(c, "before").([]any) {
			pair := b.([]any)
			if _, err := callWith(t, o, pair[0].(string), pair[1].(*pyjson.Object), hidden); err != nil {
				t.Fatalf("%s before: %v", pair[0], err)
			}
		}
	}
	r, err := callWith(t, o, class, c.Object("in"), hidden)
	differences := compared(c, o, base, r, err)
	if reason := c.String("differs"); reason != "" {
		if len(differences) == 0 {
			t.Errorf("%s: the result is upstream's, and is listed to differ: %s", what, reason)
		}
		return
	}
	for _, d := range differences {
		t.Errorf("%s: %s", what, d)
	}
}

// compared lists the differences of a call's results from its recording.
func compared(c *pyjson.Object, o Options, base string, r nodes.Result, err error) []string {
	if want := c.String("error"); want != "" {
		switch {
		case err == nil:
			return []string{fmt.Sprintf("no error, want %s: %s", want, c.String("message"))}
		case nodes.ExceptionType(err) != want:
			return []string{fmt.Sprintf("%s: %v, want %s: %s", nodes.ExceptionType(err), err, want, c.String("message"))}
		}
		return nil
	}
	if err != nil {
		return []string{err.Error()}
	}
	k := comparison{tolerance: float(mustGet(c, "tolerance")), described: o.Described}
	want, _ := mustGet(c, "out").([]any)
	if len(r.Values) != len(want) {
		return []string{fmt.Sprintf("%d outputs, want %d", len(r.Values), len(want))}
	}
	for i, w := range want {
		got := r.Values[i]
		if base != "" {
			got = anonymous(got)
		}
		k.value(fmt.Sprintf("output %d", i), got, w)
	}
	if base != "" {
		k.value("ui", anonymous(r.UI), mustGet(c, "ui"))
		k.files(base, c.Object("files"))
	}
	return k.differences
}

func mustGet(o *pyjson.Object, key string) any {
	v, _ := o.Get(key)
	return v
}

func shortened(s string) string {
	const most = 300
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// Call runs a class of the default registry with inputs as record.py stores them.
func Call(t *testing.T, class string, inputs *pyjson.Object) (nodes.Result, error) {
	t.Helper()
	return call(t, Options{}, class, inputs)
}

func call(t *testing.T, o Options, class string, inputs *pyjson.Object) (nodes.Result, error) {
	t.Helper()
	return callWith(t, o, class, inputs, nil)
}

func callWith(t *testing.T, o Options, class string, inputs *pyjson.Object, hidden func(string) any) (nodes.Result, error) {
	t.Helper()
	values := pyjson.NewObject()
	for name, v := range inputs.All() {
		values.Set(name, made(t, o, v))
	}
	return callIn(t, o.Folders, class, values, hidden)
}

// CallIn runs a class of the default registry with the values of its inputs. Folders of nil are empty ones.
func CallIn(t *testing.T, f *folders.Folders, class string, values *pyjson.Object) (nodes.Result, error) {
	t.Helper()
	return callIn(t, f, class, values, nil)
}

func callIn(t *testing.T, f *folders.Folders, class string, values *pyjson.Object, hidden func(string) any) (nodes.Result, error) {
	t.Helper()
	c, ok := nodes.Default().Get(class)
	if !ok {
		t.Fatalf("there is no class %s", class)
	}
	if f == nil {
		var err error
		if f, err = folders.New(folders.Config{Base: t.TempDir()}); err != nil {
			t.Fatal(err)
		}
	}
	node, err := c.Bind(values, hidden)
	if err != nil {
		return nodes.Result{}, err
	}
	call := nodes.Call{ID: "1", PromptID: "test", Services: nodes.Services{Folders: f, Metadata: hidden != nil}, Inputs: values}
	if hidden != nil {
		call.Host = hiddenHost{hidden: hidden}
	}
	ctx := nodes.NewContext(t.Context(), call)
	return node.Run(ctx)
}
