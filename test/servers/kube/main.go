// A real Kubernetes API server for tests, in one process: kube-apiserver with an etcd inside, and those controllers that turn objects
// into other objects (Deployment to Pods, Service to EndpointSlices, owners to garbage). There is no kubelet: nothing runs, and who
// wants a Pod ready says so in its status.
//
// Says where it is as one JSON line on stdout once it is ready. Ends when stdin closes, or on SIGTERM. All that it writes is in -dir; started
// again with the same -dir and -port it is the same cluster, with the same certificate and token.
package main

import (
	"encoding/json"
	"flag"
	"io"
	"log"
	"os"
	"path/filepath"

	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/rest"
)

func main() {
	dir := flag.String("dir", "", "folder of the cluster's state")
	port := flag.Int("port", 0, "port on loopback; 0: a free one")
	flag.Parse()
	if *dir == "" {
		log.Fatal("-dir is missing")
	}
	ctx := genericapiserver.SetupSignalContext()
	etcdUrl := startEtcd(filepath.Join(*dir, "etcd"))
	files := writeCredentials(*dir)
	server := startApiServer(ctx, serverInput{etcdUrl: etcdUrl, files: files, port: *port})
	config := &rest.Config{
		Host: server.url, BearerToken: files.adminToken, QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{CAFile: files.certificate},
	}
	waitUntilReady(ctx, config, server.ended)
	startControllers(ctx, rest.CopyConfig(config))
	line, err := json.Marshal(map[string]string{
		"url": server.url, "caFile": files.certificate, "adminToken": files.adminToken,
	})
	fatal(err)
	os.Stdout.Write(append(line, '\n'))
	go func() {
		io.Copy(io.Discard, os.Stdin)
		genericapiserver.RequestShutdown()
	}()
	// Leaves at once: an orderly end waits for open watches.
	select {
	case err := <-server.ended:
		log.Fatalf("kube-apiserver ended: %v", err)
	case <-ctx.Done():
		os.Exit(0)
	}
}

func fatal(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
