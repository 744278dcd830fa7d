package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"comfygo/internal/pyjson"
	"comfygo/workflow"
)

// readWorkflow reads a prompt, or a workflow as the front end saves it, from a file or from stdin for "-".
func readWorkflow(path string, stdin io.Reader) (*pyjson.Object, error) {
	var text []byte
	var err error
	if path == "-" {
		text, err = io.ReadAll(stdin)
	} else {
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the workflow: %w", err)
	}
	prompt, err := parseWorkflow(text)
	if err != nil {
		return nil, fmt.Errorf("reading the workflow %s: %w", path, err)
	}
	return prompt, nil
}

// parseWorkflow reads a prompt, node ids to nodes, also inside {"prompt": …} as POST /prompt takes it; or a saved workflow,
// which has to be converted.
func parseWorkflow(text []byte) (*pyjson.Object, error) {
	prompt, err := pyjson.UnmarshalObject(text)
	if err != nil {
		return nil, err
	}
	if inner := prompt.Object("prompt"); inner != nil && !isNode(inner) {
		prompt = inner
	}
	if workflow.IsWorkflow(prompt) {
		return prompt, nil
	}
	if prompt.Len() == 0 {
		return nil, errors.New("it holds no nodes")
	}
	for id, v := range prompt.All() {
		node, _ := v.(*pyjson.Object)
		if node == nil || !isNode(node) {
			return nil, fmt.Errorf("%q is not a node with class_type and inputs; a workflow in API format is expected", id)
		}
	}
	return prompt, nil
}

func isNode(o *pyjson.Object) bool { return o.String("class_type") != "" }

// setInputs applies NODE.FIELD=VALUE to a workflow.
func setInputs(prompt *pyjson.Object, assignments []string) error {
	for _, a := range assignments {
		if err := setInput(prompt, a); err != nil {
			return fmt.Errorf("setting the input %s: %w", a, err)
		}
	}
	return nil
}

func setInput(prompt *pyjson.Object, assignment string) error {
	name, value, ok := strings.Cut(assignment, "=")
	id, field, dotted := strings.Cut(name, ".")
	if !ok || !dotted || id == "" || field == "" {
		return errors.New("the form is NODE.FIELD=VALUE, as in 3.seed=42")
	}
	node := prompt.Object(id)
	if node == nil {
		return fmt.Errorf("there is no node %s; the workflow has %s", id, strings.Join(prompt.Keys(), ", "))
	}
	inputs := node.Object("inputs")
	if inputs == nil {
		inputs = pyjson.NewObject()
		node.Set("inputs", inputs)
	}
	now, _ := inputs.Get(field)
	inputs.Set(field, inputValue(now, value))
	return nil
}

// inputValue reads a value as JSON unless the input is a text now, or the value is not valid JSON: then it
// is the text as it stands, so that prompts need no quotes.
func inputValue(now any, value string) any {
	if _, text := now.(string); text {
		return value
	}
	if !json.Valid([]byte(value)) {
		return value
	}
	v, err := pyjson.Unmarshal([]byte(value))
	if err != nil {
		return value
	}
	return v
}
