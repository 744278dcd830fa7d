package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"comfygo/cli"
	"comfygo/executor"
	"comfygo/folders"
	"comfygo/internal/pyjson"
	"comfygo/server/models"
	"comfygo/workflow"
)

// codeInterrupted is the exit code of a run ended by Ctrl-C, as in a shell.
const codeInterrupted = 130

// RunWorkflow runs one workflow without a server: it writes progress to standard error, and the
// paths of the files that the workflow has made to standard output.
func (c Command) RunWorkflow(ctx context.Context, cfg cli.Config, o cli.RunOptions) (err error) {
	prompt, err := readWorkflow(o.Workflow, c.Stdin)
	if err != nil {
		return err
	}
	saved := workflow.IsWorkflow(prompt)
	if !saved {
		if err := setInputs(prompt, o.Inputs); err != nil {
			return err
		}
	}
	if o.Server != "" {
		return c.runAt(ctx, cfg, o, prompt)
	}
	if o.Output != "" {
		cfg.OutputDirectory = o.Output
	}
	if len(cfg.Verbose) == 0 {
		cfg.Verbose = []cli.LogTarget{{Level: "WARNING"}} // the progress says the rest
	}
	log, err := NewLog(cfg, LogOutputs{Stdout: c.Stdout, Stderr: c.Stderr})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	ctx, stop := withSignals(ctx, stopLimit, nil)
	defer stop()
	p, err := build(cfg, log.Logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close(), p.folders.RemoveTemp()) }()
	if err := p.folders.Prepare(); err != nil {
		return fmt.Errorf("preparing the folders: %w", err)
	}
	if saved {
		ctx = executor.InWorkflow(ctx, prompt)
		if prompt, err = p.convert(prompt, o.Inputs); err != nil {
			return err
		}
	}
	return c.runPrompt(ctx, p, prompt, o.JSON)
}

// convert makes a prompt of a saved workflow and sets inputs in it.
func (p *parts) convert(saved *pyjson.Object, inputs []string) (*pyjson.Object, error) {
	converter := workflow.Converter{Definitions: models.Definitions(p.executor.Registry(), p.executor.Env())}
	prompt, err := converter.Convert(saved)
	if err != nil {
		return nil, fmt.Errorf("converting the workflow: %w", err)
	}
	return prompt, setInputs(prompt, inputs)
}

func (c Command) runPrompt(ctx context.Context, p *parts, prompt *pyjson.Object, asJSON bool) error {
	const id = "00000000-0000-4000-8000-000000000001" // one prompt, internal to this process
	verdict, err := p.executor.Validate(ctx, id, prompt, nil)
	if err != nil {
		return fmt.Errorf("checking the workflow: %w", err)
	}
	if text := describeRefusal(verdict, prompt); text != "" {
		fmt.Fprint(c.Stderr, text)
	}
	if !verdict.OK {
		return &cli.ExitError{Code: cli.CodeFailed, Err: errors.New("the workflow cannot run")}
	}
	shown := newDisplay(c.Stderr, prompt)
	extra := pyjson.NewObject("client_id", "comfygo-run") // with a client, the executor reports every node
	result := p.executor.Run(ctx, executor.Job{ID: id, Prompt: prompt, ExtraData: extra, Outputs: verdict.Outputs}, shown)
	shown.close(!result.Success)
	out := ran{OK: result.Success, Files: append([]string{}, savedFiles(p.folders, result.Outputs)...)}
	switch {
	case result.Interrupted:
		err = &cli.ExitError{Code: codeInterrupted, Err: errors.New("the run was interrupted")}
	case !result.Success:
		err = &cli.ExitError{Code: cli.CodeFailed, Err: failure(result)}
	}
	if err != nil {
		out.Error = err.Error()
	}
	return c.told(out, asJSON, err)
}

// describeRefusal lists what validation found, one line a fault; empty when it found nothing.
func describeRefusal(v executor.Verdict, prompt *pyjson.Object) string {
	var b strings.Builder
	if v.Error != nil && v.NodeErrors.Len() == 0 {
		fmt.Fprintln(&b, faultText(v.Error))
	}
	for id, e := range v.NodeErrors.All() {
		node, _ := e.(*pyjson.Object)
		class := node.String("class_type")
		if class == "" {
			class = prompt.Object(id).String("class_type")
		}
		faults, _ := node.Get("errors")
		list, _ := faults.([]any)
		for _, f := range list {
			fault, _ := f.(*pyjson.Object)
			fmt.Fprintf(&b, "node %s (%s): %s\n", id, class, faultText(fault))
		}
	}
	return b.String()
}

func faultText(fault *pyjson.Object) string {
	text := fault.String("message")
	if details := fault.String("details"); details != "" {
		text += ": " + details
	}
	return text
}

// failure is the error of a run that did not succeed, from its last message.
func failure(r executor.Result) error {
	for _, m := range slices.Backward(r.Messages) {
		if m.Event == "execution_error" {
			return fmt.Errorf("running node %s (%s): %s", m.Data.String("node_id"), m.Data.String("node_type"), m.Data.String("exception_message"))
		}
	}
	return errors.New("the run failed")
}

// savedFiles lists the files that the UI outputs name, in the order of the nodes.
func savedFiles(dirs *folders.Folders, outputs *pyjson.Object) []string {
	var paths []string
	for _, v := range outputs.All() {
		out, _ := v.(*pyjson.Object)
		for _, kind := range out.All() {
			list, _ := kind.([]any)
			for _, item := range list {
				file, _ := item.(*pyjson.Object)
				dir, ok := dirs.Dir(file.String("type"))
				if name := file.String("filename"); ok && name != "" && file.String("type") != "temp" {
					paths = append(paths, filepath.Join(dir, file.String("subfolder"), name))
				}
			}
		}
	}
	return paths
}
