package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

type serverInput struct {
	etcdUrl string
	files   credentials
	port    int
}

type apiServer struct {
	url   string
	ended <-chan error
}

// The kube-apiserver of its own command line, but for the listener, which is ours so that the port may be any free one.
func startApiServer(ctx context.Context, input serverInput) apiServer {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", input.port))
	fatal(err)
	run := options.NewServerRunOptions()
	flags := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, set := range run.Flags().FlagSets {
		flags.AddFlagSet(set)
	}
	fatal(flags.Parse([]string{
		"--advertise-address=127.0.0.1",
		"--allow-privileged=true",
		"--authorization-mode=RBAC",
		"--bind-address=127.0.0.1",
		"--cert-dir=" + input.files.certificateFolder,
		// It would put token volumes into Pods, and wants the controller of service accounts.
		"--disable-admission-plugins=ServiceAccount",
		"--endpoint-reconciler-type=none",
		"--etcd-servers=" + input.etcdUrl,
		"--profiling=false",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + input.files.accountKey,
		"--service-account-signing-key-file=" + input.files.accountKey,
		"--service-cluster-ip-range=10.0.0.0/24",
		"--token-auth-file=" + input.files.tokens,
	}))
	run.SecureServing.Listener = listener
	run.SecureServing.BindPort = listener.Addr().(*net.TCPAddr).Port
	fatal(run.GenericServerRunOptions.ComponentGlobalsRegistry.Set())
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	completed, err := run.Complete(ctx)
	fatal(err)
	for _, problem := range completed.Validate() {
		fatal(problem)
	}
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx, completed) }()
	return apiServer{url: "https://" + listener.Addr().String(), ended: ended}
}

func waitUntilReady(ctx context.Context, config *rest.Config, ended <-chan error) {
	for {
		client, err := kubernetes.NewForConfig(config)
		if err == nil {
			_, err = client.RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		}
		if err == nil {
			return
		}
		select {
		case err := <-ended:
			log.Fatalf("kube-apiserver did not start: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
