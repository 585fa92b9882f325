//! What the program `gcnrec`, the integration tests, the benches and the fuzz targets need besides
//! the public interface. **Not part of it**: anything here may change or go in any release.
//!
//! The modules mirror those of the library.

pub mod checkpoint {
    pub use crate::checkpoint::{Contents, HOLDS, RECOVERED_FROM, exists, load, save, write_whole};
}

pub mod compare {
    pub use crate::compare::{Plan, Program, Search, Tune, check_outcome, read, run};
}

pub mod config {
    pub use crate::config::{FLAGS, FlagRow, PRESETS, keys};
}

pub mod data {
    pub use crate::data::{Config, load};

    pub mod world {
        pub use crate::data::world::Config;
    }
}

pub mod debias {
    pub use crate::debias::{Config, Training, prepare, uniform_batch};
}

pub mod eval {
    pub use crate::eval::{Config, ItemCounts, LabeledProtocol, SelectedOn, evaluate_labeled};

    pub mod metrics {
        pub use crate::eval::metrics::{METRICS, VALUE_METRICS};
    }

    pub mod trec {
        pub use crate::eval::trec::{Judgement, TrecFiles, evaluate_files};
    }
}

pub mod export {
    pub use crate::export::{FORMATS, Format, Shape, VectorFile, WholeFile, how_to_load, is_device, named, of_file};
}

pub mod files {
    pub use crate::files::{LINES_LIMIT, read_small_text};
}

pub mod models {
    pub use crate::models::{Config, Fit, Learner, Nodes, Procedure, TrainingSize, load_scorer};

    pub mod graph {
        pub use crate::models::graph::{Config, GraphLearner, Learning, Optimizer, Setup, WeightFit};

        pub mod lightgcn {
            pub use crate::models::graph::lightgcn::{Combination, Fit, Storage};
        }
    }

    pub mod sequential {
        pub use crate::models::sequential::Setup;

        pub mod gru4rec {
            pub use crate::models::sequential::gru4rec::{Config, Optimizer};
        }
    }
}

pub mod objectives {
    pub use crate::objectives::{Batching, Config, Reduction};
}

pub mod report {
    pub use crate::report::{Cell, Format, Table};
}

pub mod run {
    pub use crate::run::repeat;
}

pub mod samplers {
    pub use crate::samplers::{Batch, NegativeSampler, PairOrder, PairSampler, Sampler};
}

pub mod settings {
    pub use crate::settings::{Key, Takes};
}

pub mod train {
    pub use crate::train::{Config, Job, Outcome};
}
