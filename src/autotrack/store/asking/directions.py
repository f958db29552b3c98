"""Whether more or less of a metric is better, as far as its name tells: what `metrics.KEY.best` goes by."""

from __future__ import annotations

import re
from typing import Final

_LOWER: Final = """
loss losses error err mae mse rmse mape smape msle rmsle rmspe mpe nll bce ce crossentropy logloss mlogloss
merror perplexity ppl bpb bpc bpd cer wer ter fid kid brier deviance hinge huber poisson ece regret latency
time seconds duration distance divergence kl kld eer fpr fnr inertia bic aic lpips cost penalty
residual
"""
_HIGHER: Final = """
acc accuracy auc auroc auprc aucpr ap map ar f1 f2 fbeta precision recall sensitivity specificity tpr tnr r2
score iou miou dice jaccard kappa mcc matthews corrcoef corr pearson spearman ndcg mrr hit hits bleu rouge
meteor chrf bertscore psnr ssim gain reward return returns win wins exact em pass explained top1 top5
throughput silhouette likelihood loglikelihood elbo success
"""
_WORDS: Final = dict.fromkeys(_LOWER.split(), False) | dict.fromkeys(_HIGHER.split(), True)


def higher_is_better(key: str) -> bool | None:
    """Whether more of this metric is better, told by the words in its name; None where they do not tell.

    The last word that says something decides: `loss/accuracy` is an accuracy. `neg` before it turns it around, as in
    scikit-learn's `neg_mean_squared_error`.
    """
    words = re.findall(r"[a-z]+\d*", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", key).lower())
    for place in range(len(words) - 1, -1, -1):
        higher = _WORDS.get(words[place], _WORDS.get(words[place].rstrip("0123456789")))  # f1 and r2, and map50
        if higher is not None:
            return higher != ("neg" in words[:place])
    return None
