package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/uuid"

	"comfygo/cli"
	"comfygo/executor"
	"comfygo/internal/apiclient"
	"comfygo/internal/pyjson"
	"comfygo/workflow"
)

// ran is the outcome of a workflow, for programs.
type ran struct {
	ID    string   `json:"prompt_id,omitempty"`
	OK    bool     `json:"ok"`
	Error string   `json:"error,omitempty"`
	Files []string `json:"files"`
}

// runAt runs a workflow on a server, shows its progress, and fetches the files that it saved.
func (c Command) runAt(ctx context.Context, cfg cli.Config, o cli.RunOptions, prompt *pyjson.Object) error {
	s, err := remote(cfg, cli.RemoteOptions{Server: o.Server})
	if err != nil {
		return err
	}
	if workflow.IsWorkflow(prompt) {
		if prompt, err = convertFor(ctx, cfg, o, prompt); err != nil {
			return err
		}
	}
	ctx, stop := withSignals(ctx, stopLimit, nil)
	defer stop()
	graph, err := pyjson.Marshal(prompt)
	if err != nil {
		return fmt.Errorf("writing the workflow: %w", err)
	}
	client := "comfygo-run-" + uuid.NewString()
	socket, err := s.Dial(ctx, client)
	if err != nil {
		return plainly(err, o.Server)
	}
	defer socket.Close()
	shown, out := newDisplay(c.Stderr, prompt), ran{Files: []string{}}
	result, err := s.Follow(ctx, socket, client, json.RawMessage(graph), func(m apiclient.Message) {
		if data, err := pyjson.UnmarshalObject(m.Data); err == nil {
			out.ID = data.String("prompt_id")
			shown.Send(executor.Event{Type: m.Type, Data: data})
		}
	})
	failed := result.Failure()
	shown.close(err != nil || failed != nil)
	switch {
	case ctx.Err() != nil:
		giveUp(s, out.ID)
		err = &cli.ExitError{Code: codeInterrupted, Err: errors.New("the run was interrupted")}
	case err != nil:
		err = c.refused(err, prompt, o.Server)
	case failed != nil:
		err = fmt.Errorf("running node %s (%s): %s", failed.NodeID, failed.NodeType, failed.Message)
	case !result.Status.Completed:
		err = &cli.ExitError{Code: codeInterrupted, Err: errors.New("someone has interrupted the run")}
	default:
		out.Files, err = fetch(ctx, s, result, o.Output)
	}
	if out.OK = err == nil; !out.OK {
		out.Error = err.Error()
	}
	return c.told(out, o.JSON, err)
}

// convertFor makes a prompt of a saved workflow with the node classes that a server has, and sets inputs in it.
func convertFor(ctx context.Context, cfg cli.Config, o cli.RunOptions, saved *pyjson.Object) (*pyjson.Object, error) {
	there, err := remoteStock(ctx, cfg, cli.RemoteOptions{Server: o.Server})
	if err != nil {
		return nil, err
	}
	prompt, err := workflow.Converter{Definitions: there.class}.Convert(saved)
	if err != nil {
		return nil, fmt.Errorf("converting the workflow: %w", err)
	}
	return prompt, setInputs(prompt, o.Inputs)
}

// refused prints the faults that a server finds in a workflow, one per line, and returns the remaining message.
func (c Command) refused(err error, prompt *pyjson.Object, server string) error {
	var status *apiclient.StatusError
	if !errors.As(err, &status) || status.Code != http.StatusBadRequest {
		return plainly(err, server)
	}
	answer, bad := pyjson.UnmarshalObject(status.Body)
	if bad != nil {
		return err
	}
	text := describeRefusal(executor.Verdict{Error: answer.Object("error"), NodeErrors: answer.Object("node_errors")}, prompt)
	if text == "" {
		return err
	}
	fmt.Fprint(c.Stderr, text)
	return errors.New("the workflow cannot run")
}

// giveUp cancels a job whose client disconnects.
func giveUp(s *apiclient.Client, id string) {
	if id == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), giveUpTime)
	defer cancel()
	_ = s.Post(ctx, "/api/v1/queue/cancel", map[string]any{"prompt_id": id}, nil) // it may have ended by itself
}

// giveUpTime bounds the request that cancels a job after the command was interrupted.
const giveUpTime = 5 * time.Second

// fetch saves the output files of a run, without previews, into a folder, and returns their paths.
func fetch(ctx context.Context, s *apiclient.Client, r apiclient.Result, dir string) ([]string, error) {
	if dir == "" {
		dir = "."
	}
	paths := []string{}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return paths, fmt.Errorf("making the folder of the results: %w", err)
	}
	for _, node := range slices.Sorted(maps.Keys(r.Outputs)) {
		for _, kind := range slices.Sorted(maps.Keys(r.Outputs[node])) {
			for _, f := range r.Files(node, kind) {
				if f.Type == "temp" || f.Name == "" {
					continue
				}
				data, err := s.View(ctx, f)
				if err != nil {
					return paths, fmt.Errorf("fetching %s: %w", f.Name, err)
				}
				path := filepath.Join(dir, filepath.Base(f.Name))
				if err := os.WriteFile(path, data, 0o644); err != nil { //nolint:gosec // as other files of the user
					return paths, fmt.Errorf("saving a result: %w", err)
				}
				paths = append(paths, path)
			}
		}
	}
	return paths, nil
}

// told prints what became of a run and returns its error, which JSON holds already.
func (c Command) told(r ran, asJSON bool, err error) error {
	if !asJSON {
		for _, path := range r.Files {
			fmt.Fprintln(c.Stdout, path)
		}
		return err
	}
	if printed := c.print(r); printed != nil {
		return printed
	}
	var exit *cli.ExitError
	switch {
	case errors.As(err, &exit):
		return &cli.ExitError{Code: exit.Code}
	case err != nil:
		return &cli.ExitError{Code: cli.CodeFailed}
	}
	return nil
}
