//! Pictures of a graph: Mermaid, DOT, and a tree for a terminal.

use std::fmt::Write;

use super::Graph;

impl Graph {
    /// A Mermaid flowchart.
    pub fn to_mermaid(&self) -> String {
        let mut out = String::from("flowchart TD\n");
        self.nested(&mut |graph, part, depth| {
            let indent = "  ".repeat(depth);
            // Writing to a string cannot fail.
            let _ = match part {
                Part::Node(node) => {
                    let shown = mermaid_text(&graph.nodes[node].id);
                    writeln!(out, "{indent}n{node}[\"{shown}\"]")
                }
                Part::Open(cluster) => {
                    let shown = mermaid_text(&graph.clusters[cluster].label);
                    writeln!(out, "{indent}subgraph c{cluster}[\"{shown}\"]")
                }
                Part::Close => writeln!(out, "{indent}end"),
            };
        });
        for edge in &self.edges {
            let arrow = edge
                .label
                .as_deref()
                .map_or_else(|| "-->".to_owned(), |label| format!("-->|\"{}\"|", mermaid_text(label)));
            let _ = writeln!(out, "  n{} {arrow} n{}", edge.from, edge.to);
        }
        for (index, _) in self.nodes.iter().enumerate().filter(|(_, node)| node.disabled) {
            let _ = writeln!(out, "  style n{index} stroke-dasharray: 4 4");
        }
        out
    }

    /// A graph in the DOT language of Graphviz.
    pub fn to_dot(&self) -> String {
        let mut out = String::from("digraph flow {\n  node [shape=box, style=rounded];\n");
        self.nested(&mut |graph, part, depth| {
            let indent = "  ".repeat(depth);
            let _ = match part {
                Part::Node(node) => {
                    let style = if graph.nodes[node].disabled { ", style=\"rounded,dashed\"" } else { "" };
                    writeln!(out, "{indent}n{node} [label=\"{}\"{style}];", dot_text(&graph.nodes[node].id))
                }
                Part::Open(cluster) => {
                    let label = dot_text(&graph.clusters[cluster].label);
                    writeln!(out, "{indent}subgraph cluster_{cluster} {{\n{indent}  label=\"{label}\";")
                }
                Part::Close => writeln!(out, "{indent}}}"),
            };
        });
        for edge in &self.edges {
            let label = edge.label.as_deref().map(|label| format!(" [label=\"{}\"]", dot_text(label)));
            let _ = writeln!(out, "  n{} -> n{}{};", edge.from, edge.to, label.unwrap_or_default());
        }
        out.push_str("}\n");
        out
    }

    /// Calls `visit` for all nodes and clusters, clusters around what is in them.
    fn nested(&self, visit: &mut impl FnMut(&Graph, Part, usize)) {
        // What has no cluster is in the last list.
        let outside = self.clusters.len();
        let mut inside: Vec<(Vec<usize>, Vec<usize>)> = vec![Default::default(); outside + 1];
        for (index, node) in self.nodes.iter().enumerate() {
            inside[node.cluster.unwrap_or(outside)].0.push(index);
        }
        for (index, cluster) in self.clusters.iter().enumerate() {
            inside[cluster.parent.unwrap_or(outside)].1.push(index);
        }
        self.visit(outside, &inside, 1, visit);
    }

    fn visit(
        &self,
        cluster: usize,
        inside: &[(Vec<usize>, Vec<usize>)],
        depth: usize,
        visit: &mut impl FnMut(&Graph, Part, usize),
    ) {
        let (nodes, clusters) = &inside[cluster];
        for &node in nodes {
            visit(self, Part::Node(node), depth);
        }
        for &inner in clusters {
            visit(self, Part::Open(inner), depth);
            self.visit(inner, inside, depth + 1, visit);
            visit(self, Part::Close, depth);
        }
    }
}

enum Part {
    Node(usize),
    Open(usize),
    Close,
}

fn mermaid_text(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace(['\n', '\r'], " ")
}

fn dot_text(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace(['\n', '\r'], " ")
}
