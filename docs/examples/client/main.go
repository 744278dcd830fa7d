// Command client runs a workflow and saves its images: go run ./docs/examples/client SERVER WORKFLOW.json FOLDER
// With COMFYGO_API_KEY set, the key is shown. It needs the standard library only.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: client SERVER WORKFLOW.json FOLDER")
		os.Exit(2)
	}
	if err := run(strings.TrimSuffix(os.Args[1], "/"), os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// savedImage is a file that a node has saved.
type savedImage struct{ Filename, Subfolder, Type string }

func run(server, workflow, folder string) error {
	graph, err := os.ReadFile(workflow)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"prompt": json.RawMessage(graph)})
	if err != nil {
		return fmt.Errorf("reading %s: %w", workflow, err)
	}
	// ?wait= answers when the job has ended, with what history has of it.
	answer, err := call(http.MethodPost, server+"/prompt?wait=600", body)
	if err != nil {
		return err
	}
	var job struct {
		Finished bool
		Result   struct {
			Outputs map[string]struct{ Images []savedImage }
			Status  struct {
				StatusStr string `json:"status_str"`
			}
		}
	}
	if err := json.Unmarshal(answer, &job); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if !job.Finished || job.Result.Status.StatusStr != "success" {
		return fmt.Errorf("the workflow did not succeed: %s", answer)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, node := range job.Result.Outputs {
		for _, p := range node.Images {
			if err := save(server, p, folder); err != nil {
				return err
			}
		}
	}
	return nil
}

func save(server string, p savedImage, folder string) error {
	query := url.Values{"filename": {p.Filename}, "subfolder": {p.Subfolder}, "type": {p.Type}}
	data, err := call(http.MethodGet, server+"/view?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	path := filepath.Join(folder, filepath.Base(p.Filename))
	if err := os.WriteFile(path, data, 0o644); err != nil {
		return err
	}
	fmt.Println(path)
	return nil
}

func call(method, address string, body []byte) ([]byte, error) {
	req, err := http.NewRequest(method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if key := os.Getenv("COMFYGO_API_KEY"); key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %s", method, address, resp.Status, data)
	}
	return data, err
}
