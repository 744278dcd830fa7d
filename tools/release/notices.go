package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// part is a part of the program that is not a Go module of its own.
type part struct{ kind, name, version, licence, note string }

// embedded are the data and the C code of others in the program. The files named carry their notices in the repository.
var embedded = []part{
	{"library", "sqlite", "", "blessing", "amalgamation within github.com/mattn/go-sqlite3; public domain"},
	{"library", "libwebp", "", "BSD-3-Clause", "compiled to WebAssembly within github.com/gen2brain/webp; Copyright (c) 2010, Google Inc."},
	{"library", "libavif", "", "BSD-2-Clause", "compiled to WebAssembly within github.com/gen2brain/avif, with libaom (BSD-2-Clause, Alliance for Open Media Patent License 1.0); Copyright 2019 Joe Drago, Copyright (c) 2016, Alliance for Open Media"},
	{"library", "onnxruntime headers", "1.24.1", "MIT", "engine/ort/include; Copyright (c) Microsoft Corporation"},
	{"data", "clip-vit-large-patch14 merges.txt", "", "MIT", "engine/tokenizer/data; Copyright (c) 2021 OpenAI"},
	{"data", "Qwen2 merges.txt", "", "Apache-2.0", "engine/family/lm/data; Copyright 2024 Alibaba Cloud"},
	{"data", "T5 tokenizer.json", "", "Apache-2.0", "engine/family/t5/data; Copyright 2019 The T5 Authors"},
	{"data", "Pile-T5 tokenizer.model", "", "Apache-2.0", "engine/family/t5/data; EleutherAI, with the pieces of Meta's Llama 2 tokenizer"},
	{"data", "GITS sigmas", "", "GPL-3.0", "engine/sampling/levels; the table of ComfyUI's GITSScheduler, after zju-pi's diff-sampler (arXiv 2405.11326)"},
	{"data", "Lotus conditioning", "", "GPL-3.0", "nodes/conditioning; lotus.f16, the encoding of an empty prompt in ComfyUI's LotusConditioning"},
	{"data", "Aileron Regular", "", "CC0-1.0", "internal/draw/font; Sora Sagano"},
	{"data", "demo-shapes.safetensors", "", "CC0-1.0", "demo; the built-in model of this project"},
}

// module is a Go module in the program.
type module struct{ path, version, dir string }

// modules lists the Go modules with packages in the program, by path.
func modules(ctx context.Context) ([]module, error) {
	text, err := output(ctx, "go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Version}}\t{{.Dir}}{{end}}{{end}}", ".")
	if err != nil {
		return nil, err
	}
	var list []module
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) == 3 {
			list = append(list, module{f[0], f[1], f[2]})
		}
	}
	slices.SortFunc(list, func(a, b module) int { return strings.Compare(a.path, b.path) })
	return slices.Compact(list), nil
}

// licenceFiles are the names under which modules keep their licence.
func licenceFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		upper := strings.ToUpper(e.Name())
		for _, stem := range []string{"LICENSE", "LICENCE", "UNLICENSE", "COPYING", "NOTICE", "PATENTS"} {
			if strings.HasPrefix(upper, stem) && e.Type().IsRegular() && !strings.HasSuffix(upper, ".GO") {
				names = append(names, e.Name())
				break
			}
		}
	}
	return names, nil
}

// licenceID returns the SPDX name of a licence text, or "" if it is not one of the usual ones.
func licenceID(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	for _, l := range []struct{ id, mark string }{
		{"Apache-2.0", "Apache License Version 2.0"},
		{"MPL-2.0", "Mozilla Public License Version 2.0"},
		{"BSD-3-Clause", "be used to endorse or promote products"},
		{"BSD-2-Clause", "Redistributions in binary form must reproduce"},
		{"ISC", "for any purpose with or without fee"},
		{"MIT", "Permission is hereby granted, free of charge"},
		{"CC0-1.0", "CC0 1.0 Universal"},
		{"Unlicense", "This is free and unencumbered software"},
	} {
		if strings.Contains(text, l.mark) {
			return l.id
		}
	}
	return ""
}

// moduleLicence returns the SPDX name of a module's licence, or "" if it is unknown.
func moduleLicence(path, version string) string {
	dir, err := output(context.Background(), "go", "list", "-m", "-f", "{{.Dir}}", path+"@"+version)
	if err != nil {
		return ""
	}
	names, err := licenceFiles(dir)
	if err != nil || len(names) == 0 {
		return ""
	}
	text, err := os.ReadFile(filepath.Join(dir, names[0]))
	if err != nil {
		return ""
	}
	return licenceID(string(text))
}

// printNotices writes THIRD_PARTY_NOTICES.md: what of others is in the program, and every licence text once.
func printNotices(ctx context.Context, w io.Writer) error {
	list, err := modules(ctx)
	if err != nil {
		return err
	}
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("finding Go's own licence: %w", err)
	}
	list = append([]module{{"Go standard library and runtime", "", strings.TrimSpace(string(root))}}, list...)
	fmt.Fprint(w, "# Third-party notices\n\ncomfygo is GPL-3.0 (LICENSE). The program contains the following work of others; `go run ./tools/release -notices` writes this file.\n\n## Go modules\n\n| module | version | licence | text |\n|---|---|---|---|\n")
	var texts []string
	number := map[string]int{}
	for _, m := range list {
		names, err := licenceFiles(m.dir)
		if err != nil {
			return err
		}
		var refs []string
		id := ""
		for _, name := range names {
			raw, err := os.ReadFile(filepath.Join(m.dir, name))
			if err != nil {
				return err
			}
			text := strings.TrimSpace(strings.ReplaceAll(string(raw), "\r\n", "\n"))
			if number[text] == 0 {
				texts = append(texts, text)
				number[text] = len(texts)
			}
			if id == "" {
				id = licenceID(text)
			}
			refs = append(refs, fmt.Sprintf("[%d](#text-%d)", number[text], number[text]))
		}
		if len(refs) == 0 {
			return fmt.Errorf("module %s has no licence file in %s", m.path, m.dir)
		}
		if id == "" {
			return fmt.Errorf("the licence of module %s is not known: add it to licenceID", m.path)
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s |\n", m.path, m.version, id, strings.Join(refs, ", "))
	}
	fmt.Fprint(w, "\n## Embedded data and C code\n\n| what | licence | where from |\n|---|---|---|\n")
	for _, e := range embedded {
		fmt.Fprintf(w, "| %s | %s | %s |\n", strings.TrimSpace(e.name+" "+e.version), e.licence, e.note)
	}
	fmt.Fprint(w, "\nONNX Runtime (MIT, Copyright (c) Microsoft Corporation) is not part of the program: it is loaded at run time.\n\n## Licence texts\n")
	for i, text := range texts {
		fmt.Fprintf(w, "\n### Text %d\n\n```\n%s\n```\n", i+1, text)
	}
	return nil
}
