package hf_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/tokenizer/hf"
)

// parts takes the vocabulary and merges out of a tokenizer.json.
func parts(t *testing.T, name string) (vocab map[string]int32, merges string, added []hf.AddedToken) {
	t.Helper()
	var f struct {
		Added []hf.AddedToken `json:"added_tokens"`
		Model struct {
			Vocab  map[string]int32
			Merges [][2]string
		}
	}
	if err := json.Unmarshal(read(t, name), &f); err != nil {
		t.Fatal(err)
	}
	lines := []string{"#version: 0.2"}
	for _, m := range f.Model.Merges {
		lines = append(lines, m[0]+" "+m[1])
	}
	return f.Model.Vocab, strings.Join(lines, "\n") + "\n", f.Added
}

func TestSeparateFiles(t *testing.T) {
	t.Parallel()
	vocab, merges, added := parts(t, "bpe-qwen.json")
	data, err := json.Marshal(vocab)
	if err != nil {
		t.Fatal(err)
	}
	p, err := hf.ByteLevel{Vocab: data, Merges: []byte(merges), Pattern: hf.PatternQwen2, NFC: true, Added: added}.Build()
	if err != nil {
		t.Fatal(err)
	}
	check(t, p, ids(t)["bpe-qwen.json"])

	// A trained vocabulary begins with the bytes in another order than GPT-2's, so only the number of ids is known.
	if p, err = (hf.ByteLevel{Merges: []byte(merges), Pattern: hf.PatternQwen2}).Build(); err != nil {
		t.Fatal(err)
	}
	if want := 256 + strings.Count(merges, "\n") - 1; p.Size() != want {
		t.Errorf("%d ids, want %d", p.Size(), want)
	}
	if got, err := p.Encode("!\x00"); err != nil || !slices.Equal(got, []int32{0, 188}) {
		t.Errorf("the bytes ! and 0 give %v, %v", got, err)
	}
}

func TestBERTVocabulary(t *testing.T) {
	t.Parallel()
	vocab, _, _ := parts(t, "wordpiece.json")
	lines := slices.SortedFunc(maps.Keys(vocab), func(a, b string) int { return int(vocab[a] - vocab[b]) })
	p, err := hf.BERT([]byte(strings.Join(lines, "\n") + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	check(t, p, ids(t)["wordpiece.json"])
}

func TestTekken(t *testing.T) {
	t.Parallel()
	// Ids: 10 a, 11 b, 12 c, 13 bc, 14 ab, 15 abc; "abc" joins b and c first.
	p, err := hf.Tekken([]byte(`{"config":{"default_vocab_size":16,"default_num_special_tokens":10},
		"vocab":[{"rank":0,"token_bytes":"YQ=="},{"rank":1,"token_bytes":"Yg=="},{"rank":2,"token_bytes":"Yw=="},
			{"rank":3,"token_bytes":"YmM="},{"rank":4,"token_bytes":"YWI="},{"rank":5,"token_bytes":"YWJj"},{"rank":6,"token_bytes":"Y2M="}],
		"special_tokens":[{"rank":1,"token_str":"<s>"},{"rank":2,"token_str":"[INST]"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Encode("<s>abcabbcc[INST]c")
	if want := []int32{1, 15, 14, 13, 12, 2, 12}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
}

func TestAddedTokensOfTheConfig(t *testing.T) {
	t.Parallel()
	got, err := hf.AddedTokens([]byte(`{"added_tokens_decoder":{"12":{"content":"<b>","rstrip":true},"9":{"content":"<a>","special":true}}}`))
	want := []hf.AddedToken{{ID: 9, Content: "<a>", Special: true}, {ID: 12, Content: "<b>", RStrip: true}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	if _, err := hf.AddedTokens([]byte(`{"added_tokens_decoder":{"x":{"content":"<b>"}}}`)); err == nil {
		t.Error("no error for an id that is no number")
	}
}

func TestWrongFiles(t *testing.T) {
	t.Parallel()
	const model = `"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}`
	for name, text := range map[string]string{
		"no JSON":           `{`,
		"no model":          `{}`,
		"unknown model":     `{"model":{"type":"WordLevel","vocab":{}}}`,
		"empty vocabulary":  `{"model":{"type":"BPE","vocab":{},"merges":[]}}`,
		"merge of nothing":  `{"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}}`,
		"merge of three":    `{"model":{"type":"BPE","vocab":{"a":0},"merges":["a a a"]}}`,
		"negative id":       `{"model":{"type":"BPE","vocab":{"a":-1},"merges":[]}}`,
		"unigram unknown":   `{"model":{"type":"Unigram","unk_id":5,"vocab":[["a",-1]]}}`,
		"unigram infinite":  `{"model":{"type":"Unigram","unk_id":0,"vocab":[["a",1e999]]}}`,
		"normalizer":        `{` + model + `,"normalizer":{"type":"Rot13"}}`,
		"pre-tokenizer":     `{` + model + `,"pre_tokenizer":{"type":"UnicodeScripts"}}`,
		"lookbehind":        `{` + model + `,"pre_tokenizer":{"type":"Split","behavior":"Isolated","pattern":{"Regex":"(?<=a)b"}}}`,
		"broken expression": `{` + model + `,"pre_tokenizer":{"type":"Split","behavior":"Isolated","pattern":{"Regex":"(a"}}}`,
		"split behavior":    `{` + model + `,"pre_tokenizer":{"type":"Split","behavior":"Shaken","pattern":{"String":"a"}}}`,
		"empty pattern":     `{` + model + `,"pre_tokenizer":{"type":"Split","behavior":"Removed","pattern":{}}}`,
		"character map":     `{` + model + `,"normalizer":{"type":"Precompiled","precompiled_charsmap":"AAAA"}}`,
	} {
		if _, err := hf.Parse([]byte(text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// FuzzParse must neither panic nor hang on any file, and ids stay below Size.
func FuzzParse(f *testing.F) {
	for name := range ids(f) {
		if data := read(f, name); len(data) < 6000 {
			f.Add(data, "a photo of <|im_start|> 12 é\u00bd")
		}
	}
	f.Add([]byte(`{"model":{"type":"Unigram","vocab":[["a",-1],["<0x41>",2]],"byte_fallback":true},"normalizer":{"type":"Precompiled","precompiled_charsmap":"BAAAAAAAAABh"}}`), "aA")
	f.Fuzz(func(t *testing.T, data []byte, text string) {
		p, err := hf.Parse(data)
		if err != nil {
			return
		}
		got, err := p.Encode(strings.ToValidUTF8(text, "\ufffd"))
		if err != nil {
			return
		}
		for _, id := range got {
			if id < 0 || int(id) >= p.Size() {
				t.Fatalf("id %d with %d ids", id, p.Size())
			}
		}
	})
}
