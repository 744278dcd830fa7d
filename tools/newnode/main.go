// Command newnode writes the skeleton of a node class from ComfyUI's recorded /object_info:
//
//	go run ./tools/newnode [-root DIR] [-dir nodes/NAME] CLASS...
//
// The struct has the class's inputs in order, with defaults, ranges and options as tags; Spec has everything else. The class goes into the
// file of its module: STEM.go for comfy_extras.nodes_STEM, in the folder whose classes are of that module already, else in the folder of its
// category. Run returns nodes.Unwritten, which a test of this package refuses in the tree, so that no class lands without its work.
// Descriptions and tooltips are not recorded: write them.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	root := flag.String("root", ".", "root folder of the module")
	dir := flag.String("dir", "", "folder of the new class, such as nodes/text; left out it follows from the class's module")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: newnode [-root DIR] [-dir nodes/NAME] CLASS...")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*root, *dir, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "newnode:", err)
		os.Exit(1)
	}
}

func run(root, dir string, classes []string) error {
	infos, err := recorded(filepath.Join(root, "nodes", "all", "testdata", "object_info.json.gz"))
	if err != nil {
		return err
	}
	for _, name := range classes {
		path, err := add(root, dir, name, infos)
		if err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
		fmt.Printf("%s: %s\n", name, path)
	}
	return nil
}
