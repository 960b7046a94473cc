// talos-config: what Talos itself makes of machine configs, by its own Go module.
//
//	talos-config gen FOLDER VERSION        controlplane.yaml and worker.yaml, as "talosctl gen config" writes them
//	talos-config check FILE...             loads and validates each, strictly, as a machine does before it installs
//	talos-config same BASE RESULT PATCH... whether Talos' own patching of BASE by PATCH... gives what RESULT says
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
	"github.com/siderolabs/talos/pkg/machinery/config/configpatcher"
	"github.com/siderolabs/talos/pkg/machinery/config/encoder"
	"github.com/siderolabs/talos/pkg/machinery/config/generate"
	"github.com/siderolabs/talos/pkg/machinery/config/generate/secrets"
	"github.com/siderolabs/talos/pkg/machinery/config/machine"
	"github.com/siderolabs/talos/pkg/machinery/config/validation"
	"github.com/siderolabs/talos/pkg/machinery/constants"
)

type metal struct{}

func (metal) String() string        { return "metal" }
func (metal) RequiresInstall() bool { return false }
func (metal) InContainer() bool     { return false }

func gen(folder, version string) error {
	contract, err := config.ParseContractFromVersion(version)
	if err != nil {
		return err
	}

	bundle, err := secrets.NewBundle(secrets.NewFixedClock(time.Unix(1700000000, 0)), contract)
	if err != nil {
		return err
	}

	input, err := generate.NewInput("tenant-a", "https://[2001:db8:c0de::1]:6443", constants.DefaultKubernetesVersion,
		generate.WithVersionContract(contract), generate.WithSecretsBundle(bundle))
	if err != nil {
		return err
	}

	for name, kind := range map[string]machine.Type{"controlplane": machine.TypeControlPlane, "worker": machine.TypeWorker} {
		cfg, err := input.Config(kind)
		if err != nil {
			return err
		}

		text, err := cfg.EncodeBytes(encoder.WithComments(encoder.CommentsAll))
		if err != nil {
			return err
		}

		if err := os.WriteFile(filepath.Join(folder, name+".yaml"), text, 0o600); err != nil {
			return err
		}
	}

	return nil
}

func check(file string) error {
	cfg, err := configloader.NewFromFile(file)
	if err != nil {
		return err
	}

	warnings, err := cfg.Validate(metal{}, validation.WithLocal(), validation.WithStrict())
	for _, warning := range warnings {
		fmt.Println("warning:", warning)
	}

	return err
}

func same(base, result string, patches []string) error {
	cfg, err := configloader.NewFromFile(base)
	if err != nil {
		return err
	}

	for i, patch := range patches {
		patches[i] = "@" + patch
	}

	loaded, err := configpatcher.LoadPatches(patches)
	if err != nil {
		return err
	}

	out, err := configpatcher.Apply(configpatcher.WithConfig(cfg), loaded)
	if err != nil {
		return err
	}

	wanted, err := out.Bytes()
	if err != nil {
		return err
	}

	ours, err := configloader.NewFromFile(result)
	if err != nil {
		return fmt.Errorf("the result: %w", err)
	}

	// Both through Talos' types, so that spelling and comments do not count.
	theirs, err := configloader.NewFromBytes(wanted)
	if err != nil {
		return err
	}

	a, err := theirs.EncodeBytes(encoder.WithComments(encoder.CommentsDisabled))
	if err != nil {
		return err
	}

	b, err := ours.EncodeBytes(encoder.WithComments(encoder.CommentsDisabled))
	if err != nil {
		return err
	}

	if string(a) == string(b) {
		return nil
	}

	x, y := strings.Split(string(a), "\n"), strings.Split(string(b), "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return fmt.Errorf("line %d: Talos says %q, we say %q", i+1, x[i], y[i])
		}
	}

	return fmt.Errorf("Talos has %d lines, we have %d", len(x), len(y))
}

func run(args []string) error {
	switch {
	case len(args) == 3 && args[0] == "gen":
		return gen(args[1], args[2])
	case len(args) >= 2 && args[0] == "check":
		for _, file := range args[1:] {
			if err := check(file); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
		}

		return nil
	case len(args) >= 4 && args[0] == "same":
		return same(args[1], args[2], args[3:])
	}

	return fmt.Errorf("usage: talos-config gen|check|same ...")
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "talos-config:", err)
		os.Exit(1)
	}
}
