package main

import (
	"context"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/controller-manager/pkg/informerfactory"
	"k8s.io/kubernetes/pkg/controller/deployment"
	"k8s.io/kubernetes/pkg/controller/endpointslice"
	"k8s.io/kubernetes/pkg/controller/garbagecollector"
	"k8s.io/kubernetes/pkg/controller/namespace"
	"k8s.io/kubernetes/pkg/controller/replicaset"
)

// Those of kube-controller-manager that a test of ours needs. The collector looks for new kinds (custom resources) every second.
func startControllers(ctx context.Context, config *rest.Config) {
	client := kubernetes.NewForConfigOrDie(config)
	metadataClient := metadata.NewForConfigOrDie(config)
	shared := informers.NewSharedInformerFactory(client, 0)
	pods, replicaSets := shared.Core().V1().Pods(), shared.Apps().V1().ReplicaSets()
	deployments, err := deployment.NewDeploymentController(ctx, shared.Apps().V1().Deployments(), replicaSets, pods, client)
	fatal(err)
	replicas := replicaset.NewReplicaSetController(ctx, replicaSets, pods, client, replicaset.BurstReplicas)
	slicesOfServices := endpointslice.NewController(ctx, pods, shared.Core().V1().Services(), shared.Core().V1().Nodes(),
		shared.Discovery().V1().EndpointSlices(), 100, client, 0)
	namespaces := namespace.NewNamespaceController(ctx, client, metadataClient, client.Discovery().ServerPreferredNamespacedResources,
		shared.Core().V1().Namespaces(), time.Minute, corev1.FinalizerKubernetes)
	ignored := map[schema.GroupResource]struct{}{}
	for _, kind := range slices.Collect(maps.Keys(garbagecollector.DefaultIgnoredResources())) {
		ignored[kind] = struct{}{}
	}
	started := make(chan struct{})
	all := informerfactory.NewInformerFactory(shared, metadatainformer.NewSharedInformerFactory(metadataClient, 0))
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client.Discovery()))
	garbage, err := garbagecollector.NewGarbageCollector(ctx, client, metadataClient, mapper, ignored, all, started)
	fatal(err)
	shared.Start(ctx.Done())
	close(started)
	go deployments.Run(ctx, 2)
	go replicas.Run(ctx, 2)
	go slicesOfServices.Run(ctx, 2)
	go namespaces.Run(ctx, 2)
	go garbage.Run(ctx, 2, 30*time.Second)
	go garbage.Sync(ctx, client.Discovery(), time.Second)
}
