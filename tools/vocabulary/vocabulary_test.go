package main

import (
	"os"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	w, err := parse("# comment\na picture\tan image\npicture\timage\npictures\timages\ncard\tGPU\nnobody\t(name the subject)\n!film grain\nfilm\tvideo\n!model card\n")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ path, text, fixed, left string }{
		{"a.go", "package a\n\nvar x = \"A picture of pictures: nobody\" // a picture\n", "package a\n\nvar x = \"An image of images: nobody\" // an image\n", `a.go:3: "nobody" -> (name the subject)`},
		{"a.go", "package a\n\nvar x = \"picture\"\n", "", ""},
		{"a.go", "package a\n\ntype t struct {\n\tA int `tooltip:\"the picture here\" in:\"picture\"`\n}\n", "package a\n\ntype t struct {\n\tA int `tooltip:\"the image here\" in:\"picture\"`\n}\n", ""},
		{"a.go", "package a\n\nvar s = spec{Name: \"Save Picture\", Help: \"no picture.png, picture_a or PICTURE a film grain\"}\n", "", ""},
		{"a.js", "// a picture\nconst a = { class: \"card wide\", text: \"The picture\", more: `a ${picture} picture` };\n", "// a picture\nconst a = { class: \"card wide\", text: \"The image\", more: `a ${picture} image` };\n", ""},
		{"a.html", "<p class=\"card picture\">A picture</p>\n", "<p class=\"card picture\">An image</p>\n", ""},
		{"a.md", "A picture, `a picture`, [pictures](pictures.md), a model card\n\n    a picture\n", "An image, `a picture`, [images](pictures.md), a model card\n\n    a picture\n", ""},
		{"a_test.go", "package a\n\nvar x = \"a picture of it\"\n", "", ""},
		{"a_test.go", "package a\n\n// picture is a picture.\nvar picture = \"a picture of it\"\n", "package a\n\n// picture is an image.\nvar picture = \"a picture of it\"\n", ""},
		{"a.go", "package a\n\nvar x = \"a picture of it\" // a picture\n\n/* pictures */\n", "package a\n\nvar x = \"an image of it\" // an image\n\n/* images */\n", ""},
		{"tools/x/a.go", "package a\n\nvar x = \"a picture of it\"\n", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			t.Parallel()
			if tt.fixed == "" {
				tt.fixed = tt.text
			}
			tree := fstest.MapFS{tt.path: {Data: []byte(tt.text)}}
			found, err := run(tree, "", w, false)
			if err != nil {
				t.Fatal(err)
			}
			if (len(found) > 0) != (tt.fixed != tt.text || tt.left != "") {
				t.Errorf("without -fix: %v", found)
			}
			if spansOf(tt.path) == nil {
				return
			}
			fixed, left := w.check(tt.path, tt.text, spansOf(tt.path)(tt.text), true)
			if diff := cmp.Diff(tt.fixed, fixed); diff != "" {
				t.Error(diff)
			}
			said := ""
			for _, f := range left {
				said += f.String()
			}
			if said != tt.left {
				t.Errorf("left: %s", said)
			}
		})
	}
	if _, err := parse("word without a replacement\n"); err == nil {
		t.Error("a line without a tab was accepted")
	}
}

func TestListIsGood(t *testing.T) {
	t.Parallel()
	w, err := parse(list)
	if err != nil {
		t.Fatal(err)
	}
	for word, instead := range w.instead {
		if w.pattern.MatchString(instead) && instead[0] != '(' {
			t.Errorf("%s is replaced by %s, which is on the list", word, instead)
		}
	}
	if _, err := os.Stat("words.txt"); err != nil {
		t.Error(err)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	w, err := parse("@picture\timage\n@card\tGPU\n!@AttachedPicture\n")
	if err != nil {
		t.Fatal(err)
	}
	const source = `package a

type savedPicture struct{ AttachedPicture, discard int }

func wildcard(picture int) (picturesque string) {
	for i, noCard := range "" {
		_, a := i, noCard
	}
	return
}
`
	var got []string
	for _, f := range w.checkNames("a.go", source) {
		got = append(got, f.String())
	}
	want := []string{`a.go:3: "savedPicture" -> image`, `a.go:5: "picture" -> image`, `a.go:6: "noCard" -> GPU`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
