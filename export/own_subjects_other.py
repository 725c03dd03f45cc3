"""English subjects of our own requirements: tables, series, sound and the rest."""

from export.own_phrases import Subjects, phrases

OTHER_SUBJECTS: Subjects = {
    "regression": phrases(
        """house prices|rent prices|rents|wages|salaries|energy consumption of buildings|fuel consumption|car
        prices|used bike prices|flight prices|insurance costs|medical costs|crop yields|concrete
        strength|delivery times|taxi fares|exam grades|student marks|box office income|hotel prices|
        diamond prices|laptop prices|wine scores|body fat|life expectancy|air pollution levels|calories
        burnt|land values|loan amounts|repair costs|advertising revenue|shop turnover|ticket prices|
        house sizes|player market values|heating costs|water use|co2 emissions of cars|travel times|
        parking fees|wind turbine output|solar yield|battery life|machine wear|blood sugar|milk yield|
        egg weights|paper citations|click prices|donation sums|noise levels|boiling points|solubility""",
        """{}|predict {}|{} prediction|{} regression|estimate {}|{} estimator|{} model|how high {}|{} from
        csv|{} from table""",
        """predict {}|estimate {} from a table|predict {} from a CSV file|compute {} from a few columns|
        learn {} from measured values|regress {} on tabular data|guess {} from numbers we have collected""",
    ),
    "table_binary": phrases(
        """churn|customer churn|credit default|loan default|heart disease|diabetes|stroke|fraud|credit card
        fraud|hotel cancellations|employee turnover|titanic survival|breast cancer|purchase intent|
        bankruptcy|late payments|no-shows|kidney disease|liver disease|flight delays|machine failure|
        insurance claims|click through|subscription renewal|student dropout|match wins|readmission|
        sepsis|machine breakdowns|mortgage approval|income above average|conversion|parkinson|water
        potability|tax evasion|accident risk|bad debts|donors|returns of parcels|leads""",
        """{}|{} prediction|predict {}|{} classifier|{} yes or no|{} risk|who is at risk of {}|{} from
        table|{} from csv|{} tabular""",
        """predict {} from a table|predict {} from customer records|tell from a CSV file whether there is
        {}|classify rows by {}, yes or no|estimate the probability of {} from columns|forewarn of {} with a
        network on tabular data""",
    ),
    "table_classes": phrases(
        """iris species|wine classes|customer segments|soil types|credit ratings|car evaluations|glass types|
        obesity levels|crop recommendations|forest cover types|penguin species|risk groups|price bands|
        blood groups|thyroid conditions|mineral classes|job levels|fault classes|star classes|plan
        types|housing types|beverage types|exam bands|stress levels|fitness levels|energy classes|
        insurance groups|student profiles|drug types|bean varieties|seed varieties""",
        """{}|{} classification|predict {}|{} from table|{} classifier csv|{} from columns|{} tabular
        classification|{} from measurements""",
        """classify rows into {}|predict {} from a table|sort records into {}|assign {} by measured
        columns|learn {} from a CSV file|decide among several {} on tabular data""",
    ),
    "forecasting": phrases(
        """electricity demand|stock prices|stock|bitcoin|temperature|weather|rainfall|traffic|sales|bike
        rentals|passenger numbers|gas consumption|wind power|solar power|river levels|covid cases|
        exchange rates|gold prices|oil prices|store visitors|call volumes|website visits|air quality|
        energy prices|crop prices|hospital admissions|inventory|server load|sunspots|milk production|
        network load|water demand|inflation|unemployment|parking occupancy|train delays|heart rate|
        pollen count|glucose levels|beer sales|tourist arrivals|harbour tides""",
        """{} forecast|forecast {}|{} tomorrow|{} next week|{} time series|future {}|{} next month|
        predict {} over time|{} trend forecast|{} lstm""",
        """forecast {}|predict the next values of {}|predict {} for the coming days|forecast tomorrow's
        {} from history|learn the course of {} over time and continue it|predict future {} from hourly
        readings""",
    ),
    "series_classes": phrases(
        """ecg heartbeats|ecg arrhythmia|eeg sleep stages|accelerometer activities|motor vibrations|gait
        signals|bearing faults|smart meter curves|wearable data|gyroscope gestures|seismic signals|
        emg muscle signals|brain waves|radar returns|engine sensor curves|pulse waves|driving styles|
        pen strokes|breathing patterns|light curves|appliance signatures|respiration traces|walking or
        running|chemical sensor traces|heart rhythms|seizure signals""",
        """{}|classify {}|{} classification|{} signal classifier|recognise {}|label {}|{} time series
        classification|1d cnn {}""",
        """classify {}|recognise {} in sensor signals|assign a label to each recording of {}|tell the
        classes of {} apart|sort windows of {} into classes|diagnose {} from time series""",
    ),
    "audio": phrases(
        """birdsong|bird calls|music genres|spoken commands|keywords|dog barks|city sounds|engine noise|
        coughs|heart sounds|lung sounds|baby cries|whale songs|musical instruments|speakers|voice
        emotions|spoken digits|accents|gunshots|glass breaking|machine sounds|footsteps|frog calls|
        bee hive sounds|alarm sounds|rain and wind|chainsaw noise|drum sounds|spoken languages|snoring|
        insect sounds|laughter|applause|guitar chords|vowels""",
        """{}|{} recognition|classify {}|{} audio|{} from sound|recognise {}|{} sound classifier|{} wav
        files|{} by ear|{} spectrogram""",
        """recognise {} in recordings|classify {} from audio clips|tell {} apart by sound|label wav files
        with {}|identify {} from spectrograms|hear the difference between {}""",
    ),
    "speech": phrases(
        """voice memos|phone calls|meetings|dictations|podcasts|radio news|lectures|interviews|spoken
        sentences|speech|voice messages|audio books|police radio|court hearings|doctor's notes|
        conversations|german speech|english speech|pilot radio|spoken letters|customer calls""",
        """transcribe {}|{} to text|{} transcription|speech to text {}|asr for {}|write down {}|speech
        recognition {}|subtitles for {}""",
        """transcribe {}|turn {} into text|write down what is said in {}|recognise the words of {}|build a
        speech recogniser for {}|convert {} into letters with CTC""",
    ),
    "recommendation": phrases(
        """movies|books|songs|products|restaurants|recipes|games|courses|jobs|news articles|podcasts|shoes|
        wines|hotels|friends|films|anime|apps|beers|museums|trips|cosmetics|gifts|tv shows|board games|
        clothes|insurance plans|articles|playlists|groceries|dates|perfumes|video clips""",
        """recommend {}|{} recommender|{} recommendation|suggest {}|{} suggestions|which {} next|{}
        recommender system|{} for users|collaborative filtering {}|{} ratings""",
        """recommend {} to users|suggest {} that a user may like|predict how users rate {}|build a
        recommender for {}|learn from ratings which {} fit whom|rank {} for every customer""",
    ),
    "anomaly": phrases(
        """sensor readings|card payments|network traffic|server logs|machine vibrations|temperature
        curves|transactions|bank transfers|login attempts|power grids|pump data|turbine data|invoices|
        telemetry|process data|blood values|production data|user behaviour|gps tracks|satellite
        telemetry|water pipes|elevator data|cooling systems|meter readings|database queries|expense
        claims|assembly line data|conveyor motors|cash registers|sensor drift""",
        """{} anomalies|anomaly detection {}|{} outliers|find odd {}|unusual {}|{} anomaly detector|strange
        {}|novelty detection {}|{} autoencoder outliers|abnormal {}""",
        """detect anomalies in {}|find outliers in {}|notice unusual {}|raise an alarm on abnormal {}|learn
        what normal {} look like and report the rest|spot rare faults in {} without labels""",
    ),
    "agent": phrases(
        """balance a pole|play snake|play pong|play tic tac toe|land a rocket|walk through a maze|drive a
        car on a track|play chess|play blackjack|park a car|control a robot arm|trade shares|play
        connect four|keep a drone in the air|play tetris|schedule lifts|control traffic lights|stack
        blocks|cross a frozen lake|climb a hill with a cart|collect coins in a grid|play flappy bird|
        steer a boat|set a thermostat|play poker|avoid obstacles|charge a battery cheaply|swing up a
        pendulum|route packets|play mario|dodge asteroids|manage a warehouse robot""",
        """{}|{} agent|dqn {}|{} rl|agent to {}|learn to {}|bot to {}|{} q-learning|reinforcement learning
        {}|self-learning bot, {}""",
        """train an agent to {}|learn to {} by trial and error|{} with deep Q-learning|teach a bot to {} by
        rewards|use reinforcement learning to {}|let an agent find out how to {}""",
    ),
    "graph": phrases(
        """citation graph|social network|molecule graph|protein interaction graph|paper graph|club
        membership graph|friendship graph|road network|web link graph|knowledge graph|co-author network|trade
        network|payment graph|power grid graph|metro network|email network|follower
        graph|product graph|gene network|supply chain graph|family tree graph|blockchain graph|
        street graph|atom graph|call graph|computer network graph""",
        """{} gnn|{} node classification|gcn {}|{} graph network|graph neural network {}|nodes of {}|
        graph learning {}|{} node labels""",
        """classify the nodes of a {}|label nodes in a {} with a graph network|learn on a {} with graph
        convolutions|predict the class of every node of a {}|train a GCN on a {}|use links and features of
        a {} to classify its nodes""",
    ),
}
