package app

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"comfygo/cli"
	"comfygo/folders"
	"comfygo/nodes/catalog"
	"comfygo/workflow"
)

// Bounds of the doctor's reading of saved workflows.
const (
	mostWorkflows    = 200
	maxSavedWorkflow = 16 << 20
)

// missingClass explains what a missing node class is and how to get it.
func missingClass(class string) string {
	if _, core := catalog.Get(class); core {
		return "there is no such node class here: it is one of ComfyUI's core classes that comfygo does not have yet; a ComfyUI checkout offers it (--comfyui)"
	}
	return "there is no such node class here: it is no core class of ComfyUI; put the node pack that has it into custom_nodes"
}

// checkWorkflows judges the workflows that users have saved: how many can run, and what the others lack.
func checkWorkflows(ctx context.Context, cfg cli.Config, dirs *folders.Folders) []finding {
	ctx, stop := context.WithTimeout(ctx, doctorLimit)
	defer stop()
	files := savedWorkflows(dirs.User())
	if len(files) == 0 {
		return nil
	}
	here, err := localStock(ctx, cfg)
	if err != nil {
		return nil // the folders are reported already
	}
	runs := 0
	var problems []finding
	for _, path := range files {
		lacks, err := judgeWorkflow(path, here)
		if err == nil && len(lacks) == 0 {
			runs++
			continue
		}
		if len(problems) == mostProblems {
			continue
		}
		name, _ := filepath.Rel(dirs.User(), path)
		text := fmt.Sprint(err)
		if err == nil {
			text = fmt.Sprintf("node %s (%s): %s", lacks[0].Node, lacks[0].Class, lacks[0].Text)
			if more := len(lacks) - 1; more > 0 {
				text += fmt.Sprintf("; and %d more", more)
			}
		}
		problems = append(problems, finding{warning, "workflow", visible(name) + " cannot run: " + visible(text), "`comfygo check FILE` lists everything that is missing"})
	}
	sum := finding{good, "workflows", fmt.Sprintf("%d saved, %d can run", len(files), runs), ""}
	return append([]finding{sum}, problems...)
}

// savedWorkflows lists the workflow files of all users.
func savedWorkflows(user string) []string {
	var files []string
	_ = filepath.WalkDir(user, func(path string, d fs.DirEntry, err error) error { // what cannot be read is not judged
		if err != nil || len(files) >= mostWorkflows {
			return fs.SkipAll
		}
		if d.Type().IsRegular() && strings.HasSuffix(path, ".json") && strings.Contains(filepath.ToSlash(path), "/workflows/") && !strings.HasPrefix(d.Name(), ".") {
			files = append(files, path)
		}
		return nil
	})
	return files
}

// judgeWorkflow reports what a saved workflow needs that is missing.
func judgeWorkflow(path string, here stock) (needs, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxSavedWorkflow {
		return nil, fmt.Errorf("it has %d bytes", info.Size())
	}
	given, err := readWorkflow(path, nil)
	if err != nil {
		return nil, err
	}
	if workflow.IsWorkflow(given) {
		if given, err = (workflow.Converter{Definitions: here.class}).Convert(given); err != nil {
			return nil, err
		}
	}
	return check(given, here), nil
}
