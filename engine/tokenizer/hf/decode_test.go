package hf_test

import (
	"encoding/json"
	"testing"

	"comfygo/engine/tokenizer/hf"
	"comfygo/internal/golden"
)

func TestTextsEqualTheLibrary(t *testing.T) {
	t.Parallel()
	var sets map[string][][2]json.RawMessage
	if err := golden.ReadJSON("testdata/decode.json", &sets); err != nil {
		t.Fatal(err)
	}
	if len(sets) != 4 {
		t.Fatalf("%d vocabularies", len(sets))
	}
	for name, cases := range sets {
		p, err := hf.Parse(read(t, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cases {
			var ids []int32
			var want string
			if json.Unmarshal(c[0], &ids) != nil || json.Unmarshal(c[1], &want) != nil {
				t.Fatalf("unreadable case %s", c[0])
			}
			if got, err := p.Decode(ids); err != nil || got != want {
				t.Errorf("%s: %v gives %q, %v; want %q", name, ids, got, err, want)
			}
		}
		if _, err := p.Decode([]int32{int32(p.Size())}); err == nil {
			t.Errorf("%s: no error for an unknown id", name)
		}
	}
}

// TestUndecodable checks vocabularies that are not byte-level ones.
func TestUndecodable(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"bpe-gemma.json", "wordpiece.json", "unigram-t5.json"} {
		p, err := hf.Parse(read(t, name))
		if err != nil {
			t.Fatal(err)
		}
		var failed bool
		for id := range int32(p.Size()) {
			_, err := p.Decode([]int32{id})
			failed = failed || err != nil
		}
		if !failed {
			t.Errorf("%s: no error", name)
		}
	}
}
